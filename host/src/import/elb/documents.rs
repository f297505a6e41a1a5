//! The balancers among the values of a file.

use super::json::Node;
use crate::import::error::ImportError;
use crate::import::note::Notes;
use crate::import::written;

/// What is of use in a file.
pub(super) struct Documents<'a> {
    /// The descriptions, or a resource's properties.
    pub(super) balancers: Vec<Balancer<'a>>,
    /// What `describe-load-balancer-attributes` prints, beside the description.
    pub(super) attributes: Option<Node<'a>>,
}

/// A description, or a resource of a template.
pub(super) struct Balancer<'a> {
    pub(super) node: Node<'a>,
    /// The template's name for it.
    pub(super) logical_id: Option<String>,
}

impl<'a> Documents<'a> {
    /// Looks through the values of a file.
    ///
    /// # Errors
    /// There is no classic load balancer.
    pub(super) fn of(
        values: &[Node<'a>],
        file: &str,
        notes: &mut Notes,
    ) -> Result<Self, ImportError> {
        let mut documents = Documents {
            balancers: Vec::new(),
            attributes: None,
        };
        for value in values {
            match value.is_list() {
                true => documents.add_all(value)?,
                false => documents.add_object(value, notes)?,
            }
        }
        match (&documents.attributes, documents.balancers.len()) {
            (_, 0) => {
                let problem = "no classic load balancer is described here; import what \
                               `aws elb describe-load-balancers` prints";
                Err(ImportError::of_file(file, problem))
            }
            (Some(attributes), 2..) => Err(attributes.error(
                "whose attributes these are is not said; put them into their balancer's \
                 description, as \"LoadBalancerAttributes\"",
            )),
            _ => Ok(documents),
        }
    }

    fn add_object(&mut self, object: &Node<'a>, notes: &mut Notes) -> Result<(), ImportError> {
        if let Some(other) = object.get("LoadBalancers") {
            return Err(other.error(
                "these are load balancers of `aws elbv2` (application, network or gateway); only \
                 classic ones are read, which `aws elb describe-load-balancers` prints",
            ));
        }
        if let Some(replicas) = object.get("replicas") {
            return Err(replicas.error("this is a configuration of dtr-lb already"));
        }
        if let Some(attributes) = object.get("LoadBalancerAttributes")
            && object.get("ListenerDescriptions").is_none()
        {
            self.attributes = Some(attributes);
        }
        if let Some(list) = object.get("LoadBalancerDescriptions") {
            return self.add_all(&list);
        }
        if let Some(resources) = object.get("Resources") {
            for (name, resource) in resources.fields() {
                self.add_resource(name.to_owned(), &resource, notes)?;
            }
            return Ok(());
        }
        if object.get("Type").is_some() {
            return self.add_resource("the resource".to_owned(), object, notes);
        }
        let is_description = ["ListenerDescriptions", "Listeners"]
            .iter()
            .any(|field| object.get(field).is_some());
        if is_description {
            self.balancers.push(Balancer {
                node: *object,
                logical_id: None,
            });
        } else if object.get("LoadBalancerAttributes").is_none() {
            let fields = object.fields().into_iter().map(|(name, _)| name.to_owned());
            let text = format!("{}: it is no load balancer", written::list(fields));
            notes.not_taken(&object.place(), text);
        }
        Ok(())
    }

    fn add_all(&mut self, list: &Node<'a>) -> Result<(), ImportError> {
        let balancer = |node| Balancer {
            node,
            logical_id: None,
        };
        let items = list.items()?;
        if let Some(other) = items.iter().find(|item| item.fields().is_empty()) {
            return Err(other.error("expected the description of a load balancer"));
        }
        self.balancers.extend(items.into_iter().map(balancer));
        Ok(())
    }

    fn add_resource(
        &mut self,
        name: String,
        resource: &Node<'a>,
        notes: &mut Notes,
    ) -> Result<(), ImportError> {
        let kind = match resource.get("Type") {
            Some(kind) => kind.text()?,
            None => "no type".to_owned(),
        };
        if kind != CLASSIC {
            let place = resource.place();
            let reason = match kind.starts_with("AWS::ElasticLoadBalancingV2::") {
                true => "only classic load balancers are read",
                false => "it is no load balancer",
            };
            notes.not_taken(&place, format!("{name} ({kind}): {reason}"));
            return Ok(());
        }
        let Some(properties) = resource.get("Properties") else {
            return Err(resource.error(format!("{name} has no \"Properties\"")));
        };
        self.balancers.push(Balancer {
            node: properties,
            logical_id: Some(name),
        });
        Ok(())
    }
}

const CLASSIC: &str = "AWS::ElasticLoadBalancing::LoadBalancer";
