//! The scenes' stage in the testkit.

use proxy_wasm_testkit::{
    Build, Client, Cluster, Exchange, OnTrap, TestKit, accepts, answers, breaks_off, millis,
    refuses,
};

use super::scene::{Act, Behaviour, Protocol, Setting, Stage};

pub(crate) struct Kit {
    kit: TestKit,
    protocol: Protocol,
    client: Option<Client>,
    exchange: Option<Exchange>,
}

impl Kit {
    pub(crate) fn open(setting: Setting) -> Kit {
        let guest = Build::new("guests").example(setting.guest).run().unwrap();
        let mut kit = TestKit::load(guest)
            .plugin(setting.configuration)
            .on_trap(OnTrap::GoOn)
            .cluster("default", cluster(Behaviour::Answers(200, "hi")));
        for (name, behaviour) in setting.clusters {
            kit = kit.cluster(*name, cluster(*behaviour));
        }
        Kit {
            kit: kit.start().unwrap(),
            protocol: setting.protocol,
            client: None,
            exchange: None,
        }
    }

    fn client(&mut self) -> &mut Client {
        self.client.as_mut().unwrap()
    }

    fn exchange(&mut self) -> &mut Exchange {
        self.exchange.as_mut().unwrap()
    }
}

impl Stage for Kit {
    fn play(&mut self, act: Act) {
        // As Envoy adds them.
        let own = [("x-forwarded-proto", "http"), ("x-request-id", "")];
        match act {
            Act::Connects => self.client = Some(self.kit.tcp().connect()),
            Act::Sends(bytes) => self.client().send(bytes),
            Act::Ends => self.client().finish(),
            Act::Gives(bytes) => self.client().upstream().send(bytes),
            Act::Closes => self.client().upstream().finish(),
            Act::UpstreamHas(bytes) => {
                let upstream = self.client().upstream();
                assert_eq!(upstream.received(), bytes);
                assert!(!upstream.saw_end());
            }
            Act::UpstreamEnds(bytes) => {
                let upstream = self.client().upstream();
                assert_eq!(upstream.received(), bytes);
                assert!(!upstream.is_open() || upstream.saw_end());
            }
            Act::ClientEnds(bytes) => {
                let client = self.client();
                assert_eq!(client.received(), bytes);
                assert!(!client.is_open() || client.saw_end());
            }
            Act::Asks(path, headers) => {
                let request = self.kit.http().get(path).headers(headers).headers(&own);
                self.exchange = Some(request.send());
            }
            Act::Posts(path) => {
                self.exchange = Some(self.kit.http().post(path).headers(&own).open());
            }
            Act::Body(bytes) => self.exchange().send(bytes),
            Act::BodyEnds => self.exchange().send_last(""),
            Act::Trailers(name, value) => self.exchange().send_trailers(&[(name, value)]),
            Act::IsAnswered(status, body) => {
                assert_eq!(self.exchange().status(), Some(status));
                assert_eq!(self.exchange().body(), body);
            }
            Act::HasHeader(name, value) => {
                assert_eq!(self.exchange().header(name), Some(value));
            }
        }
        self.kit.advance(millis(50));
        assert!(self.protocol == Protocol::Http || self.exchange.is_none());
    }

    fn logs(&self) -> Vec<String> {
        let lines = self.kit.logs().into_iter();
        // A panic's second line stays out of Envoy's log lines.
        lines
            .map(|line| line.message.lines().next().unwrap_or_default().to_owned())
            .collect()
    }

    fn wait_for(&mut self, _lines: usize) {}
}

fn cluster(behaviour: Behaviour) -> Cluster {
    match behaviour {
        Behaviour::Accepts => accepts(),
        Behaviour::Answers(status, body) => answers(status, body).header("server", "upstream"),
        Behaviour::Refuses => refuses(),
        Behaviour::BreaksOff => breaks_off(),
    }
}
