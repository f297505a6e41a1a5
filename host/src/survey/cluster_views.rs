//! Asks every replica how it sees all of them.

use std::rc::Rc;

use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use super::answer::Answer;
use super::options::SurveyOptions;
use super::place::{self, Place};
use super::targets::{Targets, Through};
use crate::cluster_status::{Credentials, View, Witness, ask};
use crate::config::{Check, Config};
use crate::error::StartError;

/// What each replica says of all, and of itself to the check `through`, in the
/// configuration's order. Of a name with several addresses the first is asked.
///
/// The credentials go to any peer that answers there: that it is the registry is the
/// check's to verify.
///
/// # Errors
/// A CA file that can't be read. What a replica does not say is in its [`Witness`].
pub async fn cluster_views(
    config: &Config,
    through: &Check,
    credentials: &Credentials,
    options: &SurveyOptions,
) -> Result<Vec<Witness>, StartError> {
    let places = place::all(config, options).await;
    let asked = Rc::new(Asked {
        targets: Targets::of(config, &places, &options.lookup)?,
        places,
        check: through.clone(),
        credentials: credentials.clone(),
        slots: Semaphore::new(options.at_once.max(1)),
    });
    let mut witnesses: Vec<Witness> = (config.replicas.iter())
        .map(|replica| Witness::unasked(replica.name.clone(), replica.id.clone()))
        .collect();
    let answers = async {
        let mut asking = JoinSet::new();
        for replica in 0..witnesses.len() {
            let asked = Rc::clone(&asked);
            asking.spawn_local(async move { (replica, asked.ask(replica).await) });
        }
        // One that panicked stays without an answer.
        while let Some(answered) = asking.join_next().await {
            if let Ok((replica, Some((ping, view)))) = answered
                && let Some(witness) = witnesses.get_mut(replica)
            {
                witness.ping = Some(ping);
                witness.view = view;
            }
        }
    };
    LocalSet::new().run_until(answers).await;
    Ok(witnesses)
}

/// What all replicas are asked.
struct Asked {
    targets: Targets,
    places: Vec<Place>,
    check: Check,
    credentials: Credentials,
    slots: Semaphore,
}

/// What a replica says of itself, and of all.
type Views = (Result<(), String>, Result<View, String>);

impl Asked {
    /// By the replica's place in the configuration.
    async fn ask(&self, replica: usize) -> Option<Views> {
        let _slot = self.slots.acquire().await;
        let mut places = self.places.iter().enumerate();
        let (place, found) = places.find(|(_, place)| place.replica == replica)?;
        if let Some(why) = &found.unresolved {
            let why = format!("its name has no address ({why})");
            return Some((Err(why.clone()), Err(why)));
        }
        let through = Through::Check(self.check.name.clone());
        let to = self.targets.endpoint(place, self.check.port, &through)?;
        let Targets { fqdn, limit, .. } = &self.targets;
        let answer = Answer::to(&self.check.kind, fqdn, to, *limit).await;
        let ping = answer.response.judge(&self.check.kind);
        let ping = ping.map_err(|failure| failure.in_one_line());
        Some((ping, ask(to, fqdn, &self.credentials).await))
    }
}
