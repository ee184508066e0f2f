//! Envoy's configuration.

use super::config::{ACCESS_LOG, Backend, FOLDER, FrontEnd};

/// Block style throughout, one key a line, so that it can be edited by lines.
pub(super) fn front_end(front: &FrontEnd<'_>) -> String {
    let (ip, port) = (front.listen.ip(), front.listen.port());
    let (cert, key) = (front.pem.cert.display(), front.pem.key.display());
    let endpoints = match front.backend {
        Backend::Http(address) => format!(
            "[{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: {}, port_value: {}}}}}}}}}]}}]",
            address.ip(),
            address.port()
        ),
        // Envoy serves no files: every request is answered with 503.
        Backend::Files(_) => "[]".to_owned(),
    };
    format!(
        r#"static_resources:
  listeners:
  - name: goproxy
    address:
      socket_address: {{address: {ip}, port_value: {port}}}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates:
            - certificate_chain: {{filename: "{cert}"}}
              private_key: {{filename: "{key}"}}
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: goproxy
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: "{FOLDER}/{ACCESS_LOG}"
              log_format:
                text_format_source:
                  inline_string: "%CONNECTION_ID% %PROTOCOL% %REQ(:PATH)%\n"
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, route: {{cluster: goproxy, timeout: 0s}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: goproxy
    connect_timeout: 5s
    load_assignment:
      cluster_name: goproxy
      endpoints: {endpoints}
"#
    )
}
