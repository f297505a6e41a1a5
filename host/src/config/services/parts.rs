//! Takes a file of several services apart.

use crate::config::json::{Entry, Json, Node};
use crate::config::place::{
    OF_A_SERVICE, OF_A_SERVICE_ALONE, OF_SERVICES, OF_THE_BALANCER, SERVICES,
};
use crate::config::problems::Problems;

/// The file's own fields, and for each service, by its place, the file of one registry that
/// it is together with the top level.
pub(super) fn split(problems: &Problems) -> (Problems, Vec<(usize, Problems)>) {
    let root = problems.root();
    let (own, mut general): (Vec<Entry>, _) = root
        .kept()
        .cloned()
        .partition(|entry| OF_SERVICES.contains(&entry.name.as_str()));
    let mut whole = Problems::new(problems.source().clone(), reduced(root, own.clone()));
    general.retain(|entry| {
        let is_misplaced = OF_A_SERVICE.contains(&entry.name.as_str());
        if is_misplaced {
            let problem = "each service has its own; move it into \"services\"";
            whole.refuse_field_at(entry.value.offset, &entry.name, problem);
        }
        !is_misplaced
    });
    let services = own.iter().find(|entry| entry.name == SERVICES);
    let items = match services.map(|entry| &entry.value.json) {
        Some(Json::List(items)) => items.as_slice(),
        _ => &[],
    };
    let mut parts = Vec::new();
    for (index, item) in items.iter().enumerate() {
        // What is no object is refused as part of the whole.
        let Json::Object(_) = &item.json else {
            continue;
        };
        let place = format!("services[{index}]");
        let mut entries: Vec<Entry> = Vec::new();
        for entry in item.kept() {
            let name = entry.name.as_str();
            if OF_THE_BALANCER.contains(&name) {
                let problem = "it is the same for all services; move it to the top level";
                let field = format!("{place}.{name}");
                whole.refuse_field_at(entry.value.offset, &field, problem);
            } else if !OF_A_SERVICE_ALONE.contains(&name) {
                entries.push(entry.clone());
            }
        }
        let own = entries.iter().map(|entry| entry.name.clone()).collect();
        // The first alone reads the filters' files.
        let shared = general.iter();
        let shared = shared.filter(|entry| index == 0 || entry.name != "filters");
        let merged = Node {
            offset: item.offset,
            json: Json::Object(entries.into_iter().chain(shared.cloned()).collect()),
        };
        let part = Problems::new(problems.source().clone(), merged);
        parts.push((index, part.of_service(place, own)));
    }
    if parts.is_empty() {
        parts.push((0, without_service(problems, general)));
    }
    (whole, parts)
}

/// The top level alone, where no service can be read: what else is wrong there is found.
fn without_service(problems: &Problems, general: Vec<Entry>) -> Problems {
    let node = Node {
        offset: problems.root().offset,
        json: Json::Object(general),
    };
    let part = Problems::new(problems.source().clone(), node);
    let mut part = part.of_service("services[0]".to_owned(), Vec::new());
    for field in OF_A_SERVICE {
        part.mark_refused(field.to_owned());
    }
    part
}

/// The root with these fields, and of each service only what one registry has not.
fn reduced(root: &Node, mut own: Vec<Entry>) -> Node {
    for entry in own.iter_mut().filter(|entry| entry.name == SERVICES) {
        let Json::List(items) = &mut entry.value.json else {
            continue;
        };
        for item in items {
            if let Json::Object(entries) = &mut item.json {
                entries.retain(|entry| OF_A_SERVICE_ALONE.contains(&entry.name.as_str()));
            }
        }
    }
    Node {
        offset: root.offset,
        json: Json::Object(own),
    }
}
