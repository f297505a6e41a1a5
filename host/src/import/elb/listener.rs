//! Where clients connect to a balancer.

use std::net::{Ipv4Addr, SocketAddr};

use super::json::Node;
use crate::import::error::ImportError;
use crate::import::found::At;
use crate::import::note::{Notes, Place};

/// A listener that passes TCP through.
pub(super) struct Listener {
    pub(super) place: Place,
    pub(super) bind: At<SocketAddr>,
    /// Of the instances.
    pub(super) port: u16,
}

/// Reads an element of `ListenerDescriptions` or of a template's `Listeners`. `None`:
/// it ends TLS or speaks HTTP, as a note says.
///
/// # Errors
/// A port or a protocol can't be read.
pub(super) fn read(node: &Node<'_>, notes: &mut Notes) -> Result<Option<Listener>, ImportError> {
    let listener = node.get("Listener").unwrap_or(*node);
    let given = |name: &str| {
        let missing = || listener.error(format!("this listener has no {name:?}; add it"));
        listener.get(name).ok_or_else(missing)
    };
    let bind_port = port(&given("LoadBalancerPort")?)?;
    let instance_port = port(&given("InstancePort")?)?;
    let protocol = given("Protocol")?.text()?.to_ascii_uppercase();
    let of_instances = match listener.get("InstanceProtocol") {
        Some(of_instances) => of_instances.text()?.to_ascii_uppercase(),
        // As AWS has it.
        None if protocol == "TCP" || protocol == "SSL" => "TCP".to_owned(),
        None => "HTTP".to_owned(),
    };
    let place = listener.place();
    let shown = format!("{protocol} {bind_port} to {of_instances} {instance_port}");
    let refused = match (protocol.as_str(), of_instances.as_str()) {
        ("TCP", "TCP") => None,
        ("TCP", "SSL") => Some(
            "it encrypts what clients send, so that the instances get TLS inside TLS on 443; \
             connections are passed through here as they are",
        ),
        ("SSL" | "HTTPS", _) => Some("it ends TLS, and TLS is passed through here"),
        ("HTTP", _) => {
            Some("it speaks HTTP and rewrites headers, and only TCP is passed through here")
        }
        _ => {
            let problem = format!(
                "{protocol:?} to {of_instances:?} is no listener; known: TCP, SSL, HTTP, HTTPS"
            );
            return Err(listener.error(problem));
        }
    };
    if let Some(refused) = refused {
        notes.not_taken(&place, format!("the listener {shown}: {refused}"));
        return Ok(None);
    }
    let value = SocketAddr::from((Ipv4Addr::UNSPECIFIED, bind_port));
    notes.taken(
        &place,
        format!("the listener {shown}: a listener on {value}"),
    );
    for names in [node.get("PolicyNames"), listener.get("PolicyNames")]
        .into_iter()
        .flatten()
    {
        if !names.is_empty() {
            notes.not_taken(
                &names.place(),
                "PolicyNames: policies are about TLS and cookies, which pass through here",
            );
            break;
        }
    }
    Ok(Some(Listener {
        bind: At {
            value,
            place: place.clone(),
        },
        place,
        port: instance_port,
    }))
}

fn port(node: &Node<'_>) -> Result<u16, ImportError> {
    // Within the limits of a port.
    Ok(node.number(1, u32::from(u16::MAX))? as u16)
}
