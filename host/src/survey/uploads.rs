//! Begins an upload at every replica, and asks others for it.

use std::rc::Rc;

use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, LocalSet};

use super::options::{Progress, SurveyOptions};
use super::place::{self, Place};
use super::targets::{Targets, Through};
use crate::cluster_status::Credentials;
use crate::config::{Check, Config};
use crate::error::StartError;
use crate::upload_test::{Client, Repository, Seen, Trial, Upload};

/// How uploads are tested.
#[derive(Clone)]
pub struct UploadTest {
    /// Where they would go to.
    pub repository: Repository,
    /// Who pushes; `None`: whom the registry does not ask.
    pub credentials: Option<Credentials>,
    /// The check whose connections carry the requests.
    pub through: Check,
    /// Once it is true, nothing more is begun or asked; what was begun is deleted.
    pub stop: watch::Receiver<bool>,
}

/// What comes of an upload at each replica, in the configuration's order. Of a few replicas
/// each is asked for each other's upload; of more, only for that of the one before it. Of a
/// name with several addresses the first is asked.
///
/// The credentials go to any peer that answers there: that it is the registry is the
/// check's to verify.
///
/// # Errors
/// A CA file that can't be read. What a replica refuses is in its [`Trial`].
pub async fn uploads(
    config: &Config,
    test: UploadTest,
    options: &SurveyOptions,
    mut progress: impl FnMut(Progress),
) -> Result<Vec<Trial>, StartError> {
    let places = place::all(config, options).await;
    let testing = Rc::new(Testing {
        targets: Targets::of(config, &places, &options.lookup)?,
        places,
        names: (config.replicas.iter())
            .map(|replica| replica.name.clone())
            .collect(),
        test,
        slots: Semaphore::new(options.at_once.max(1)),
    });
    let all = testing.names.len();
    let mut trials: Vec<Trial> = (testing.names.iter())
        .map(|name| Trial {
            begun_at: name.clone(),
            begun: Err("it could not be asked".to_owned()),
            asked: Vec::new(),
            deleted: Ok(()),
        })
        .collect();
    let trying = async {
        let mut trying = JoinSet::new();
        for replica in 0..all {
            let testing = Rc::clone(&testing);
            trying.spawn_local(async move {
                let _slot = testing.slots.acquire().await;
                (replica, testing.trial(replica).await)
            });
        }
        let mut done = 0;
        // One that panicked stays as it is.
        while let Some(tried) = trying.join_next().await {
            if let Ok((replica, trial)) = tried
                && let Some(place) = trials.get_mut(replica)
            {
                *place = trial;
            }
            done += 1;
            progress(Progress { done, all });
        }
    };
    LocalSet::new().run_until(trying).await;
    Ok(trials)
}

/// What all trials share.
struct Testing {
    targets: Targets,
    places: Vec<Place>,
    /// Of the replicas.
    names: Vec<String>,
    test: UploadTest,
    slots: Semaphore,
}

impl Testing {
    /// Begins an upload at a replica, asks others for it, and deletes it.
    async fn trial(&self, replica: usize) -> Trial {
        let mut trial = Trial {
            begun_at: self.name(replica),
            begun: Ok(()),
            asked: Vec::new(),
            deleted: Ok(()),
        };
        if *self.test.stop.borrow() {
            trial.begun = Err("the test was interrupted".to_owned());
            return trial;
        }
        let UploadTest {
            repository,
            credentials,
            ..
        } = &self.test;
        let began = async {
            let client = self.client(replica)?;
            let upload = Upload::begin(&client, repository, credentials.as_ref()).await?;
            Ok((client, upload))
        };
        let (client, upload) = match began.await {
            Ok(began) => began,
            Err(why) => {
                trial.begun = Err(why);
                return trial;
            }
        };
        let mut stop = self.test.stop.clone();
        let stopped = async {
            if stop.wait_for(|stop| *stop).await.is_err() {
                // Nobody is left who could stop it.
                std::future::pending().await
            }
        };
        let asking = async {
            for other in self.others(replica) {
                let seen = match self.client(other) {
                    Ok(client) => upload.seen_by(&client).await,
                    Err(why) => Seen::Failed(why),
                };
                trial.asked.push((self.name(other), seen));
            }
        };
        tokio::select! {
            () = asking => {}
            () = stopped => {}
        }
        trial.deleted = upload.delete(&client).await;
        trial
    }

    /// The replicas that are asked for an upload of this one.
    fn others(&self, replica: usize) -> Vec<usize> {
        let all = self.names.len();
        match all {
            0 | 1 => Vec::new(),
            2..=MOST_ASKED_BY_ALL => (0..all).filter(|other| *other != replica).collect(),
            _ => vec![(replica + 1) % all],
        }
    }

    fn name(&self, replica: usize) -> String {
        self.names.get(replica).cloned().unwrap_or_default()
    }

    /// # Errors
    /// It has no address.
    fn client(&self, replica: usize) -> Result<Client<'_>, String> {
        let mut places = self.places.iter().enumerate();
        let found = places.find(|(_, place)| place.replica == replica);
        let (place, found) = found.ok_or("it has no address")?;
        if let Some(why) = &found.unresolved {
            return Err(format!("its name has no address ({why})"));
        }
        let Check { name, port, .. } = &self.test.through;
        let through = Through::Check(name.clone());
        let to = self.targets.endpoint(place, *port, &through);
        Ok(Client {
            to: to.ok_or("it has no address")?,
            fqdn: &self.targets.fqdn,
        })
    }
}

/// Of more replicas than these not every pair is tried.
const MOST_ASKED_BY_ALL: usize = 5;
