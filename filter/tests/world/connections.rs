//! Clients' connections of a [`World`].

use super::World;
use dtr_lb_filter::balance::listener::Refusal;
use dtr_lb_filter::balance::stream::{StreamId, UpstreamOutcome};
use dtr_lb_filter::balancer::Admission;
use dtr_lb_filter::effect::Fact;

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Served(usize),
    Failed,
    Refused(Refusal),
}

#[derive(Clone, Copy, Debug)]
pub struct Connection {
    pub listener: u16,
    /// Where it really is; `None` while it is being connected.
    pub at: Option<usize>,
    /// Whether the filter steered it.
    pub steered: bool,
}

impl World {
    /// Opens a connection that stays; where it ended up.
    pub fn open(&mut self, vm: usize) -> (Option<StreamId>, End) {
        self.open_from(vm, 443, 0)
    }

    /// The replicas of the route that the filter chose, in the order they are tried.
    pub fn route(
        &mut self,
        vm: usize,
        port: u16,
        client: u64,
    ) -> Result<(StreamId, Vec<usize>), Refusal> {
        self.streams += 1;
        let stream = StreamId(self.streams);
        self.refresh(vm);
        let now = self.vms[vm].now();
        let balancer = &mut self.vms[vm].balancer;
        balancer.share_limits(&mut self.board, now);
        let listener = balancer.listener(port).expect("a listener of that port");
        let name = match balancer.admit(stream, listener, client, now) {
            Admission::Steer(_, route) => route.name().to_owned(),
            Admission::Refuse(refusal) => return Err(refusal),
        };
        balancer.share_limits(&mut self.board, now);
        let (_, names) = name.split_once('/').expect("PORT/FIRST>SECOND>*");
        let place = |name| self.config.replicas.iter().position(|it| it.name == name);
        let (named, others) = match names.strip_suffix(">*") {
            Some(named) => (named, 0..self.does.len()),
            None => (names, 0..0),
        };
        let mut route: Vec<usize> = named
            .split('>')
            .map(|name| place(name).expect("a configured replica"))
            .collect();
        let others: Vec<usize> = others.filter(|other| !route.contains(other)).collect();
        route.extend(others);
        Ok((stream, route))
    }

    pub fn open_from(&mut self, vm: usize, port: u16, client: u64) -> (Option<StreamId>, End) {
        let (stream, route) = match self.route(vm, port, client) {
            Ok(routed) => routed,
            Err(refusal) => return (None, End::Refused(refusal)),
        };
        let accepts = |replica: &usize| self.does[*replica].accepts();
        match route.iter().copied().find(accepts) {
            Some(at) => {
                let connection = Connection {
                    listener: port,
                    at: Some(at),
                    steered: true,
                };
                self.vms[vm].connections.insert(stream, connection);
                (Some(stream), End::Served(at))
            }
            None => {
                let now = self.vms[vm].now();
                self.vms[vm]
                    .balancer
                    .observe(Fact::Closed(stream, UpstreamOutcome::Failed), now);
                self.carry_out(vm);
                (None, End::Failed)
            }
        }
    }

    /// Ends a connection, as `on_log` does.
    pub fn close(&mut self, vm: usize, stream: StreamId) {
        let Some(connection) = self.vms[vm].connections.remove(&stream) else {
            return;
        };
        let name = connection
            .at
            .map(|at| self.config.replicas[at].name.clone());
        let outcome = name
            .as_deref()
            .map_or(UpstreamOutcome::Pending, UpstreamOutcome::Reached);
        let now = self.vms[vm].now();
        self.vms[vm]
            .balancer
            .observe(Fact::Closed(stream, outcome), now);
        self.carry_out(vm);
    }

    /// A connection that opens, is served and ends.
    pub fn visit(&mut self, vm: usize) -> End {
        let (stream, end) = self.open(vm);
        if let Some(stream) = stream {
            self.close(vm, stream);
        }
        end
    }

    /// How many of the visits each replica served.
    pub fn visits(&mut self, vm: usize, times: usize) -> Vec<usize> {
        let mut served = vec![0; self.does.len()];
        for _ in 0..times {
            match self.visit(vm) {
                End::Served(replica) => served[replica] += 1,
                other => panic!("a connection was not served: {other:?}"),
            }
        }
        served
    }

    /// Connections open at a replica in truth.
    pub fn truly_active(&self, replica: usize) -> u32 {
        let connections = self.vms.iter().flat_map(|vm| vm.connections.values());
        connections.filter(|it| it.at == Some(replica)).count() as u32
    }

    /// Connections open at a replica as a VM counts them.
    pub fn active(&self, vm: usize, replica: usize) -> u32 {
        let balancer = &self.vms[vm].balancer;
        let name = &self.config.replicas[replica].name;
        balancer.replica(name).map_or(0, |id| balancer.active(id))
    }
}
