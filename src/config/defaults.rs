//! What the parameters of table tools and lookup rules are when main.cf does not set them.
//!
//! From postconf(5) and `postconf -d`; in alphabetical order. Parameters that are empty by default
//! are not here. `myhostname` and `mydomain` follow the host once it is known, see
//! [`Config::set_host_name`](super::Config::set_host_name).

/// Names and values; values are expanded when they are used.
static DEFAULTS: &[(&str, &str)] = &[
    ("alias_database", "hash:/etc/aliases"),
    ("allow_min_user", "no"),
    ("allow_percent_hack", "yes"),
    ("append_at_myorigin", "yes"),
    (
        "append_dot_mydomain",
        "${{$compatibility_level} <level {1} ? {yes} : {no}}",
    ),
    ("berkeley_db_create_buffer_size", "16777216"),
    ("berkeley_db_read_buffer_size", "131072"),
    (
        "canonical_classes",
        "envelope_sender, envelope_recipient, header_sender, header_recipient",
    ),
    ("compatibility_level", "0"),
    ("default_cache_db_type", "btree"),
    ("default_database_type", "hash"),
    ("default_transport", "smtp"),
    ("double_bounce_sender", "double-bounce"),
    ("empty_address_default_transport_maps_lookup_key", "<>"),
    ("empty_address_local_login_sender_maps_lookup_key", "<>"),
    ("empty_address_recipient", "MAILER-DAEMON"),
    ("empty_address_relayhost_maps_lookup_key", "<>"),
    ("fast_flush_domains", "$relay_domains"),
    ("header_size_limit", "102400"),
    (
        "import_environment",
        "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ XAUTHORITY DISPLAY LANG=C \
         POSTLOG_SERVICE POSTLOG_HOSTNAME",
    ),
    ("inet_interfaces", "all"),
    (
        "known_tcp_ports",
        "lmtp=24, smtp=25, smtps=submissions=465, submission=587",
    ),
    ("lmdb_map_size", "16777216"),
    ("lmtp_cname_overrides_servername", "no"),
    ("lmtp_sasl_auth_enable", "no"),
    ("lmtp_sasl_password_result_delimiter", ":"),
    ("lmtp_sender_dependent_authentication", "no"),
    ("lmtp_tcp_port", "24"),
    ("local_login_sender_maps", "static:*"),
    (
        "local_recipient_maps",
        "proxy:unix:passwd.byname $alias_maps",
    ),
    ("local_transport", "local:$myhostname"),
    ("mime_boundary_length_limit", "2048"),
    ("mime_nesting_limit", "100"),
    (
        "mydestination",
        "$myhostname, localhost.$mydomain, localhost",
    ),
    ("mydomain", "localdomain"),
    ("myhostname", "localhost.localdomain"),
    ("myorigin", "$myhostname"),
    ("non_bdb_migration_level", "disable"),
    ("non_bdb_migration_log_redirect", "yes"),
    ("owner_request_special", "yes"),
    (
        "parent_domain_matches_subdomains",
        "debug_peer_list,fast_flush_domains,mynetworks,permit_mx_backup_networks,\
         qmqpd_authorized_clients,relay_domains,smtpd_access_maps",
    ),
    ("propagate_unmatched_extensions", "canonical, virtual"),
    ("queue_directory", "/var/spool/postfix"),
    (
        "recipient_canonical_classes",
        "envelope_recipient, header_recipient",
    ),
    (
        "relay_domains",
        "${{$compatibility_level} <level {2} ? {$mydestination} : {}}",
    ),
    ("relay_transport", "relay"),
    ("relocated_prefix_enable", "yes"),
    ("resolve_dequoted_address", "yes"),
    ("resolve_null_domain", "no"),
    ("resolve_numeric_domain", "no"),
    ("sender_canonical_classes", "envelope_sender, header_sender"),
    ("show_user_unknown_table_name", "yes"),
    ("smtp_cname_overrides_servername", "no"),
    ("smtp_fallback_relay", "$fallback_relay"),
    ("smtp_sasl_auth_enable", "no"),
    ("smtp_sasl_password_result_delimiter", ":"),
    ("smtp_sender_dependent_authentication", "no"),
    ("smtp_tcp_port", "smtp"),
    ("smtpd_null_access_lookup_key", "<>"),
    (
        "smtputf8_enable",
        "${{$compatibility_level} <level {1} ? {no} : {yes}}",
    ),
    ("swap_bangpath", "yes"),
    ("virtual_alias_address_length_limit", "1000"),
    ("virtual_alias_domains", "$virtual_alias_maps"),
    ("virtual_alias_expansion_limit", "1000"),
    ("virtual_alias_maps", "$virtual_maps"),
    ("virtual_alias_recursion_limit", "1000"),
    ("virtual_mailbox_domains", "$virtual_mailbox_maps"),
    ("virtual_minimum_uid", "100"),
    ("virtual_transport", "virtual"),
];

/// The default of `name`, not expanded.
pub(super) fn default_of(name: &[u8]) -> Option<&'static [u8]> {
    let place = DEFAULTS.binary_search_by(|(known, _)| known.as_bytes().cmp(name));
    let (_, value) = DEFAULTS.get(place.ok()?)?;
    Some(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_for_the_search() {
        assert!(DEFAULTS.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(default_of(b"virtual_transport"), Some(&b"virtual"[..]));
        assert_eq!(default_of(b"transport_maps"), None);
    }
}
