//! Classic load balancers of AWS: what `aws elb describe-load-balancers` prints, and
//! CloudFormation's resource.

mod attributes;
mod balancer;
mod documents;
mod health_check;
mod instances;
mod json;
mod listener;
mod names;

use super::error::ImportError;
use super::found::Found;
use super::note::Notes;
use super::options::ImportOptions;
use documents::Documents;
use json::Document;

/// Reads one or several descriptions.
///
/// # Errors
/// It is no JSON, nothing of it describes a classic load balancer, or an instance has
/// no address.
pub(super) fn read(
    name: &str,
    text: &str,
    options: &ImportOptions,
    notes: &mut Notes,
) -> Result<Found, ImportError> {
    if !text.trim_start().starts_with(['{', '[']) {
        let problem = "no JSON: of templates in YAML nothing is read; import what \
                       `aws elb describe-load-balancers` prints, or the template as JSON";
        return Err(ImportError::of_file(name, problem));
    }
    let document = Document::read(name, text)?;
    let documents = Documents::of(&document.values(), name, notes)?;
    let services = balancer::services(&documents, name, options, notes)?;
    Ok(Found {
        services,
        ..Found::default()
    })
}
