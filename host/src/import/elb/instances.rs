//! The machines behind a balancer, which AWS calls by their ids.

use std::collections::{BTreeMap, BTreeSet};

use super::json::Node;
use crate::import::endpoint::HostPort;
use crate::import::error::ImportError;
use crate::import::found::Server;
use crate::import::note::{Notes, Place};
use crate::import::options::ImportOptions;
use crate::import::written;

/// An instance that is a server of a balancer.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) id: String,
    place: Place,
}

impl Instance {
    /// Those that the operator names, where the balancer lists none.
    pub(super) fn all_of(options: &ImportOptions, place: &Place) -> Vec<Instance> {
        let instance = |id: &String| Instance {
            id: id.clone(),
            place: place.clone(),
        };
        options.instances.keys().map(instance).collect()
    }
}

/// Reads `Instances`: ids, or objects with an `InstanceId`. An instance of the same
/// template is a `Ref` to its name there, which is its id for the operator.
///
/// # Errors
/// One is neither.
pub(super) fn read(list: &Node<'_>, notes: &mut Notes) -> Result<Vec<Instance>, ImportError> {
    let mut instances: Vec<Instance> = Vec::new();
    let mut known = BTreeSet::new();
    for item in list.items()? {
        let id = item.get("InstanceId").unwrap_or(item);
        let place = id.place();
        let id = id.get("Ref").unwrap_or(id).text()?;
        if known.insert(id.clone()) {
            notes.taken(&place, format!("the instance {id}: a replica"));
            instances.push(Instance { id, place });
        } else {
            notes.not_taken(&place, format!("the instance {id}: it is there already"));
        }
    }
    Ok(instances)
}

/// Where the instances are.
pub(super) struct Addresses(BTreeMap<String, String>);

impl Addresses {
    /// Looks up these instances.
    ///
    /// # Errors
    /// The operator gave no address of one, or something else; there are none.
    pub(super) fn of<'i>(
        instances: impl Iterator<Item = &'i Instance>,
        file: &str,
        options: &ImportOptions,
    ) -> Result<Self, ImportError> {
        let mut addresses = BTreeMap::new();
        let mut missing = Vec::new();
        let mut known = BTreeSet::new();
        for Instance { id, .. } in instances {
            if !known.insert(id) {
                continue;
            }
            let Some(given) = options.instances.get(id) else {
                missing.push(id.clone());
                continue;
            };
            let address = match HostPort::read(given) {
                Ok(HostPort { host, port: None }) => Ok(host),
                Ok(_) => Err(format!("{given:?} has a port; give the address alone")),
                Err(problem) => Err(problem),
            };
            let address = address.map_err(|problem| {
                ImportError::of_file(file, format!("--instances {id}: {problem}"))
            })?;
            addresses.insert(id.clone(), address);
        }
        if missing.is_empty() {
            return Ok(Addresses(addresses));
        }
        let flag: Vec<String> = missing
            .iter()
            .take(3)
            .map(|id| format!("{id}=ADDRESS"))
            .collect();
        let problem = format!(
            "the file says which instances there are, and not where: {}; add --instances {}{}",
            written::list(missing.iter().cloned()),
            flag.join(","),
            if missing.len() > flag.len() {
                ",..."
            } else {
                ""
            }
        );
        Err(ImportError::of_file(file, problem))
    }

    /// The servers on a port; those whose address is not known, since the balancer is
    /// left out, are not among them.
    pub(super) fn servers(&self, instances: &[Instance], port: u16) -> Vec<Server> {
        let known = instances.iter().filter_map(|instance| {
            let host = self.0.get(&instance.id)?.clone();
            Some(Server {
                name: Some(instance.id.clone()),
                place: instance.place.clone(),
                host,
                port,
                weight: 1,
                backup: false,
                in_maintenance: false,
                max_connections: None,
            })
        });
        known.collect()
    }
}
