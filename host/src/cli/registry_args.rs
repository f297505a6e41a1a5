//! The registry that a command asks, and who asks it.

use clap::Args;

use super::config_args::ConfigArgs;
use super::registry_login::RegistryLogin;
use super::service_choice::ServiceChoice;

#[derive(Debug, Args)]
pub(super) struct RegistryArgs {
    #[command(flatten)]
    pub(super) config_args: ConfigArgs,
    #[command(flatten)]
    pub(super) service: ServiceChoice,
    #[command(flatten)]
    pub(super) login: RegistryLogin,
}
