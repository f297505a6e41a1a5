//! What can happen.

use std::time::Duration;

use crate::load::Request;
use crate::replica::Fault;

/// One thing that happens. Replicas go by number, from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Nothing, for this many milliseconds; less of it in the short form.
    Pause(u64),
    /// Nothing, for this many milliseconds, in the short form too.
    Wait(u64),
    /// As often as this, all of these.
    Repeat(u32, &'static [Act]),

    /// The replica's process is gone at once.
    Kill(u8),
    /// It gets SIGTERM: serves those that are open, and is gone.
    Terminate(u8),
    /// It is started, and listens.
    Start(u8),
    /// Its process is stopped: the kernel still accepts for it.
    Stop(u8),
    /// It goes on.
    Continue(u8),
    /// What it sends is dropped, as if its machine were gone.
    BlackHole(u8),
    /// What it sends arrives again.
    Heal(u8),
    /// From now on this is wrong with it.
    Fault(u8, Fault),
    /// From now on this is its certificate.
    Certificate(u8, Certificate),
    /// Waits until it answers no client.
    Emptied(u8),
    /// What the name server says from now on.
    Dns(Dns),
    /// Waits until the name server was asked while it said so.
    Asked,
    /// Waits until the balancer's `/status` says this of it.
    Sees(u8, Sight),

    /// The operator's order for it, `drain` or `ready`.
    Order(u8, &'static str),
    /// The balancer goes on with another configuration.
    Reload(Change),
    /// Another process takes the balancer's place.
    Upgrade,
    /// Waits until those whose place was taken have ended, and well.
    RetiredEnded,
    /// The balancer's processes are stopped.
    StopBalancer,
    /// They go on.
    ContinueBalancer,
    /// One of its workers is stopped.
    StopWorker,
    /// It goes on.
    ContinueWorker,
    /// The pipe of the balancer's log is full from here on.
    FillLog,
    /// The balancer is asked to end, and to let open connections finish.
    EndBalancer,
    /// Waits for its end.
    BalancerEnded,
    /// Demands that this metric of the balancer is above zero.
    Counted(&'static str),

    /// No new clients from now on; waits until the last one is served.
    EndLoad,
    /// This many clients more, who ask for this.
    Clients(usize, Request),
    /// Waits until these are served.
    ClientsServed,
    /// This many connections that say nothing.
    Idle(usize),
    /// This many connections to the balancer's pages that say nothing.
    IdleOnAdmin(usize),
    /// This many clients ask the balancer's pages again and again.
    FloodAdmin(usize),
    /// This many clients end their side and vanish, before they are answered.
    Vanish(usize),
    /// All connections that say nothing, and all who ask the balancer's pages, go.
    Release,

    /// From here on no connection can be served.
    AllDown,
    /// From here on it can.
    Up,
}

/// What can be wrong with a certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Certificate {
    /// Nothing.
    Right,
    /// It is for another name.
    WrongName,
    /// Its time is over.
    Expired,
    /// Nobody signed it but its own key.
    SelfSigned,
}

/// What a balancer can know of a replica.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sight {
    /// It passes its checks.
    Healthy,
    /// It does not.
    Unhealthy,
    /// A probe of it has failed, ever.
    FailedProbe,
}

/// What the name server says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Dns {
    /// Each name leads to its replica.
    #[default]
    Right,
    /// The first replica's name leads to another.
    Moved(u8),
    /// There are no such names.
    NxDomain,
    /// Nothing at all.
    Silent,
}

/// What changes with a configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// Nothing.
    Nothing,
    /// This replica is left out.
    Without(u8),
    /// All replicas are there.
    All,
    /// There is one more listener.
    OneMoreListener,
    /// There is not.
    OneListenerLess,
}

impl Act {
    /// About how long it takes, unshortened.
    pub(crate) fn length(self) -> Duration {
        match self {
            Self::Pause(ms) | Self::Wait(ms) => Duration::from_millis(ms),
            Self::Repeat(times, script) => {
                script.iter().map(|act| act.length()).sum::<Duration>() * times
            }
            // The host compiles its filters again.
            Self::Reload(_) | Self::Upgrade => Duration::from_secs(1),
            _ => Duration::ZERO,
        }
    }

    /// Whether it needs a network of its own.
    pub(crate) fn needs_network(self) -> bool {
        match self {
            Self::BlackHole(_) | Self::Vanish(_) | Self::Dns(_) => true,
            Self::Repeat(_, script) => script.iter().any(|act| act.needs_network()),
            _ => false,
        }
    }

    /// Whether connections that are open may be cut by it whatever a balancer does.
    pub(crate) fn severs(self) -> bool {
        // No fault cuts a connection whose answer has begun; any other can be saved.
        matches!(self, Self::Kill(_) | Self::Stop(_) | Self::BlackHole(_))
    }
}
