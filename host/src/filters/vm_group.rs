//! Which filters of a plan share a VM.

use crate::plan::{Balancer, NetworkFilter, Plan, VM_ID};

/// Filters that share a VM, each with its slot in the chain.
pub(super) enum VmGroup<'a> {
    Filters(Vec<(usize, &'a NetworkFilter)>),
    Balancer(usize, &'a Balancer),
}

impl<'a> VmGroup<'a> {
    /// Every VM of a plan.
    pub(super) fn all(plan: &'a Plan) -> Vec<VmGroup<'a>> {
        let mut groups: Vec<VmGroup<'a>> = Vec::new();
        for (slot, filter) in plan.network_filters.iter().enumerate() {
            let shared = groups.iter_mut().find_map(|group| match group {
                VmGroup::Filters(filters)
                    if filters.iter().all(|(_, other)| share_vm(other, filter)) =>
                {
                    Some(filters)
                }
                _ => None,
            });
            match shared {
                Some(filters) => filters.push((slot, filter)),
                None => groups.push(VmGroup::Filters(vec![(slot, filter)])),
            }
        }
        let balancer = plan.balancer.as_ref();
        let last = plan.network_filters.len();
        groups.extend(balancer.map(|filter| VmGroup::Balancer(last, filter)));
        groups
    }

    /// Names of its filters.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            VmGroup::Filters(filters) => filters.iter().map(|(_, one)| one.name.clone()).collect(),
            VmGroup::Balancer(..) => vec![VM_ID.to_owned()],
        }
    }

    /// Where its module came from; `None`: the balancer, which is built in.
    pub(super) fn file(&self) -> Option<String> {
        match self {
            VmGroup::Filters(filters) => filters.first().map(|(_, one)| one.file.clone()),
            VmGroup::Balancer(..) => None,
        }
    }
}

/// Whether two filters live in one VM.
fn share_vm(one: &NetworkFilter, other: &NetworkFilter) -> bool {
    !one.vm.id.is_empty() && one.vm == other.vm && one.code == other.code
}
