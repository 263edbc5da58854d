use std::net::SocketAddr;

/// What it takes to listen, told in words where it is not given.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(7500);
        format!("it takes an IP address and a port, such as `127.0.0.1:{port}`, or `0.0.0.0:{port}` for every network")
    })
}

/// Where a controller's API is: an address and a port will do. Without the slash at the end.
pub(super) fn server(text: &str) -> Result<String, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    match reqwest::Url::parse(&url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => {
            Ok(url.trim_end_matches('/').to_owned())
        }
        Ok(_) | Err(_) => Err("it takes a URL, such as `http://127.0.0.1:7500`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_told_how_to_be_an_address() {
        assert_eq!(listen("127.0.0.1:27511").map(|address| address.port()), Ok(27_511));
        assert!(listen("[::1]:0").is_ok());
        for (text, cure) in [
            ("27511", "`127.0.0.1:27511`"),
            (":27511", "`127.0.0.1:27511`"),
            ("localhost:80", "`127.0.0.1:80`"),
            ("here", "`127.0.0.1:7500`"),
        ] {
            let error = listen(text).expect_err("no address");
            assert!(error.contains(cure), "{text}: {error}");
        }
    }

    #[test]
    fn a_server_needs_no_scheme() {
        for (text, expected) in [
            ("127.0.0.1:7500", Some("http://127.0.0.1:7500")),
            ("localhost:7500", Some("http://localhost:7500")),
            ("vps", Some("http://vps")),
            ("http://[::1]:7500/", Some("http://[::1]:7500")),
            ("https://bascule.example.org/a/", Some("https://bascule.example.org/a")),
            ("ftp://vps", None),
            ("http://", None),
            ("a b", None),
        ] {
            assert_eq!(server(text).ok().as_deref(), expected, "{text}");
        }
    }
}
