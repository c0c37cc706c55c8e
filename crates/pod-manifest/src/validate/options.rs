//! What may differ between API servers: the gates and the leniences of 1.36.

use serde::Deserialize;

/// Options of validation. [`Options::default`] is an API server 1.36 with its default gates, for a pod that is created.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    rename_all = "camelCase",
    default = "Options::none",
    deny_unknown_fields
)]
#[expect(
    missing_docs,
    reason = "names and meanings are those of PodValidationOptions"
)]
pub struct Options {
    pub allow_invalid_pod_deletion_cost: bool,
    pub allow_invalid_label_value_in_selector: bool,
    pub allow_indivisible_huge_pages_values: bool,
    pub allow_invalid_topology_spread_constraint_label_selector: bool,
    pub allow_non_local_projected_token_path: bool,
    #[serde(rename = "allowNamespacedSysctlsForHostNetAndHostIPC")]
    pub allow_namespaced_sysctls_for_host_net_and_host_ipc: bool,
    pub resource_is_pod: bool,
    pub allow_relaxed_environment_variable_validation: bool,
    #[serde(rename = "allowRelaxedDNSSearchValidation")]
    pub allow_relaxed_dns_search_validation: bool,
    pub allow_pod_lifecycle_sleep_action_zero_value: bool,
    #[serde(rename = "allowOnlyRecursiveSELinuxChangePolicy")]
    pub allow_only_recursive_selinux_change_policy: bool,
    pub pod_level_resources_enabled: bool,
    pub in_place_pod_level_resources_vertical_scaling_enabled: bool,
    pub allow_sidecar_resize_policy: bool,
    pub allow_invalid_label_value_in_required_node_affinity: bool,
    pub allow_match_label_keys_in_pod_topology_spread: bool,
    pub allow_match_label_keys_in_pod_topology_spread_selector_merge: bool,
    pub old_pod_violates_match_label_keys_validation: bool,
    pub old_pod_violates_legacy_match_label_keys_validation: bool,
    pub allow_env_files_validation: bool,
    pub allow_container_restart_policy_rules: bool,
    pub allow_existing_restart_container_for_non_sidecar_init_container: bool,
    pub allow_user_namespaces_with_volume_devices: bool,
    pub allow_taint_toleration_comparison_operators: bool,
    pub allow_user_namespaces_host_network_support: bool,
    pub allow_restart_all_containers: bool,
    pub allow_image_volume_with_digest: bool,
    /// Refuse to nominate a node for a pod that has one (gate ClearingNominatedNodeNameAfterBinding).
    pub bound_pods_have_no_nominated_node: bool,
    /// Refuse addresses with leading zeros, and IPv4 addresses written as IPv6 ones (gate StrictIPCIDRValidation).
    pub strict_addresses: bool,
    /// Whether containers may be privileged (a setting of the cluster, `--allow-privileged`).
    pub allow_privileged: bool,
}

impl Options {
    /// Every option off, the gates of 1.36 that concern all validation as they are by default.
    pub const fn none() -> Self {
        Self {
            allow_invalid_pod_deletion_cost: false,
            allow_invalid_label_value_in_selector: false,
            allow_indivisible_huge_pages_values: false,
            allow_invalid_topology_spread_constraint_label_selector: false,
            allow_non_local_projected_token_path: false,
            allow_namespaced_sysctls_for_host_net_and_host_ipc: false,
            resource_is_pod: false,
            allow_relaxed_environment_variable_validation: false,
            allow_relaxed_dns_search_validation: false,
            allow_pod_lifecycle_sleep_action_zero_value: false,
            allow_only_recursive_selinux_change_policy: false,
            pod_level_resources_enabled: false,
            in_place_pod_level_resources_vertical_scaling_enabled: false,
            allow_sidecar_resize_policy: false,
            allow_invalid_label_value_in_required_node_affinity: false,
            allow_match_label_keys_in_pod_topology_spread: false,
            allow_match_label_keys_in_pod_topology_spread_selector_merge: false,
            old_pod_violates_match_label_keys_validation: false,
            old_pod_violates_legacy_match_label_keys_validation: false,
            allow_env_files_validation: false,
            allow_container_restart_policy_rules: false,
            allow_existing_restart_container_for_non_sidecar_init_container: false,
            allow_user_namespaces_with_volume_devices: false,
            allow_taint_toleration_comparison_operators: false,
            allow_user_namespaces_host_network_support: false,
            allow_restart_all_containers: false,
            allow_image_volume_with_digest: false,
            bound_pods_have_no_nominated_node: true,
            strict_addresses: true,
            allow_privileged: false,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            resource_is_pod: true,
            allow_relaxed_environment_variable_validation: true,
            allow_relaxed_dns_search_validation: true,
            allow_pod_lifecycle_sleep_action_zero_value: true,
            allow_only_recursive_selinux_change_policy: false,
            pod_level_resources_enabled: true,
            in_place_pod_level_resources_vertical_scaling_enabled: true,
            allow_sidecar_resize_policy: true,
            allow_match_label_keys_in_pod_topology_spread: true,
            allow_match_label_keys_in_pod_topology_spread_selector_merge: true,
            allow_env_files_validation: true,
            allow_container_restart_policy_rules: true,
            allow_restart_all_containers: true,
            allow_image_volume_with_digest: true,
            allow_privileged: true,
            ..Self::none()
        }
    }
}
