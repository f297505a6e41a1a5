//! Scenes: what happens, on which stages, and that they all show the same.

use crate::{envoy, host, kit};

/// What a scene needs: a guest, its configuration, and what is behind the proxy.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) guest: &'static str,
    pub(crate) configuration: &'static str,
    pub(crate) protocol: Protocol,
    /// Beside `default`, which accepts all and answers `hi`.
    pub(crate) clusters: &'static [(&'static str, Behaviour)],
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Protocol {
    Tcp,
    Http,
}

/// What a cluster does.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    Accepts,
    Answers(u16, &'static str),
    Refuses,
    /// Closes in the midst of its answer.
    BreaksOff,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// A client connects.
    Connects,
    /// The client sends bytes.
    Sends(&'static str),
    /// The client sends no more.
    Ends,
    /// The upstream sends bytes.
    Gives(&'static str),
    /// The upstream sends no more.
    Closes,
    /// All that the upstream has been sent so far, and no end.
    UpstreamHas(&'static str),
    /// All that the upstream has been sent, and the end.
    UpstreamEnds(&'static str),
    /// All that the client has been sent, and the end.
    ClientEnds(&'static str),
    /// A client asks for a path, with headers and no body.
    Asks(&'static str, &'static [(&'static str, &'static str)]),
    /// A client begins to post to a path.
    Posts(&'static str),
    /// A piece of the body.
    Body(&'static str),
    /// The end of the body.
    BodyEnds,
    /// The end of the body, with trailers.
    Trailers(&'static str, &'static str),
    /// The client's answer: status and body.
    IsAnswered(u16, &'static str),
    /// A header of the client's answer.
    HasHeader(&'static str, &'static str),
}

/// Plays acts.
pub(crate) trait Stage {
    fn play(&mut self, act: Act);
    /// What the guest logged so far.
    fn logs(&self) -> Vec<String>;
    /// Waits until the guest has logged `lines` lines, or for long enough.
    fn wait_for(&mut self, lines: usize);
}

pub(crate) fn same(setting: Setting, acts: &[Act]) {
    dtr_lb_tests::subscribe_every_thread();
    let mut kit = kit::Kit::open(setting);
    let mut proxies: Vec<(&str, Box<dyn Stage>)> =
        vec![("Envoy", Box::new(envoy::Envoy::open(setting)))];
    if setting.protocol == Protocol::Tcp {
        // It carries network filters.
        proxies.push(("the host", Box::new(host::Host::open(setting))));
    }
    // What is logged while starting: by one VM here, by several there.
    let here = kit.logs().len();
    let there: Vec<usize> = proxies
        .iter()
        .map(|(_, proxy)| proxy.logs().len())
        .collect();
    for act in acts {
        kit.play(*act);
        let expected = normal(&kit.logs()[here..]);
        for ((name, proxy), there) in proxies.iter_mut().zip(&there) {
            proxy.play(*act);
            proxy.wait_for(there + expected.len());
            let seen = normal(&proxy.logs()[*there..]);
            assert_eq!(
                expected, seen,
                "testkit (left) and {name} differ after {act:?}"
            );
        }
    }
}

/// Without what no two requests have in common.
pub(crate) fn normal(lines: &[String]) -> Vec<String> {
    let lines = lines.iter().map(|line| match line.split_once(": ") {
        Some(("x-request-id", _)) => "x-request-id: ...".to_owned(),
        _ => line.clone(),
    });
    lines.collect()
}
