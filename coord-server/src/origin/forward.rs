//! The headers that pass between a visitor and the site's own server. Pure.
//! RFC 9110 section 7.6.

use std::net::IpAddr;

use axum::http::header::{self, Entry};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::url::OriginUrl;
use crate::asker::{Asker, FORWARDED_FOR, FORWARDED_PROTO};

/// Those that belong to one connection, besides what `Connection` lists.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What servers believe of whoever is before them. From a visitor it is not true.
pub(crate) const SAID_BY_PROXIES: [HeaderName; 6] = [
    FORWARDED_FOR,
    FORWARDED_HOST,
    FORWARDED_PROTO,
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-real-ip"),
    header::FORWARDED,
];

/// Headers of a visitor's request as the origin gets them. `host` is the `Host` that it
/// is to see; the visitor's own goes into `X-Forwarded-Host`.
pub fn to_origin(
    mut headers: HeaderMap,
    asker: Asker,
    host: &HeaderValue,
    via: &HeaderValue,
) -> HeaderMap {
    let upgrade = wants_upgrade(&headers).then(|| headers.get(header::UPGRADE).cloned()).flatten();
    remove_hop_by_hop(&mut headers);
    // Answered by ourselves as soon as the body is wanted.
    headers.remove(header::EXPECT);
    let scheme = asker.scheme(&headers);
    if !asker.is_proxy {
        for name in SAID_BY_PROXIES {
            headers.remove(name);
        }
    }
    append_address(&mut headers, asker.address);
    headers.insert(FORWARDED_PROTO, scheme);
    if let Some(own) = headers.insert(header::HOST, host.clone())
        && let Entry::Vacant(entry) = headers.entry(FORWARDED_HOST)
    {
        entry.insert(own);
    }
    headers.append(header::VIA, via.clone());
    if let Some(protocol) = upgrade {
        headers.insert(header::UPGRADE, protocol);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    headers
}

/// Headers of the origin's answer as the visitor gets them. Redirects stay with the
/// visitor; those within the origin lead to the site that it is shown as.
pub fn to_visitor(mut headers: HeaderMap, origin: &OriginUrl, via: &HeaderValue) -> HeaderMap {
    let upgrade = wants_upgrade(&headers).then(|| headers.get(header::UPGRADE).cloned()).flatten();
    remove_hop_by_hop(&mut headers);
    let location = headers.get(header::LOCATION).and_then(|it| it.to_str().ok());
    if let Some(path) = location.and_then(|location| origin.path_of(location))
        && let Ok(path) = HeaderValue::try_from(path)
    {
        headers.insert(header::LOCATION, path);
    }
    headers.append(header::VIA, via.clone());
    if let Some(protocol) = upgrade {
        headers.insert(header::UPGRADE, protocol);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    headers
}

/// Whether a WebSocket is asked for or agreed to. No other protocol passes: what is said in
/// HTTP/2 (`h2c`) would reach the origin past everything that is decided here.
pub fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && listed(headers, &header::CONNECTION).any(|it| it.eq_ignore_ascii_case("upgrade"))
}

/// Whether a request has come through us before.
pub fn is_loop(headers: &HeaderMap, via: &HeaderValue) -> bool {
    via.to_str().is_ok_and(|own| listed(headers, &header::VIA).any(|it| it == own))
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> =
        listed(headers, &header::CONNECTION).filter_map(|name| name.parse().ok()).collect();
    for name in HOP_BY_HOP.into_iter().chain(named) {
        // Without it a body would end where its reader likes.
        if name != header::CONTENT_LENGTH && name != header::HOST {
            headers.remove(name);
        }
    }
}

fn append_address(headers: &mut HeaderMap, address: IpAddr) {
    let mut all: Vec<String> = listed(headers, &FORWARDED_FOR).map(str::to_owned).collect();
    all.push(address.to_canonical().to_string());
    if let Ok(value) = HeaderValue::try_from(all.join(", ")) {
        headers.insert(FORWARDED_FOR, value);
    }
}

/// The members of a header that is a list.
fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::Ipv4Addr;

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    const VISITOR: Asker =
        Asker { address: ADDRESS, is_proxy: false, visitor: Some(ADDRESS), is_secure: false };
    const PROXY: Asker = Asker {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        is_proxy: true,
        visitor: None,
        is_secure: false,
    };

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let fields = fields.iter().map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        });
        fields.collect()
    }

    fn sent(asker: Asker, fields: &[(&str, &str)]) -> Vec<(String, String)> {
        let host = HeaderValue::from_static("origin.example");
        let via = HeaderValue::from_static("1.1 dcdn-1");
        let mut sent: Vec<_> = to_origin(headers(fields), asker, &host, &via)
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        sent.sort();
        sent
    }

    fn expect(asker: Asker, fields: &[(&str, &str)], expected: &[(&str, &str)]) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        assert_eq!(sent(asker, fields), expected.iter().map(owned).collect::<Vec<_>>());
    }

    #[test]
    fn the_origin_hears_who_asks_and_what_for() {
        let asked = [("host", "shop.example"), ("cookie", "a=b"), ("range", "bytes=0-1")];
        let expected = [
            ("cookie", "a=b"),
            ("host", "origin.example"),
            ("range", "bytes=0-1"),
            ("via", "1.1 dcdn-1"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-proto", "http"),
        ];
        expect(VISITOR, &asked, &expected);
    }

    #[test]
    fn what_a_visitor_says_of_itself_is_not_believed_and_what_a_proxy_says_is() {
        let asked = [
            ("host", "shop.example"),
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-host", "real.example"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "198.51.100.1"),
        ];
        let from_visitor = [
            ("host", "origin.example"),
            ("via", "1.1 dcdn-1"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-proto", "http"),
        ];
        let from_proxy = [
            ("host", "origin.example"),
            ("via", "1.1 dcdn-1"),
            ("x-forwarded-for", "198.51.100.1, 127.0.0.1"),
            ("x-forwarded-host", "real.example"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "198.51.100.1"),
        ];
        expect(VISITOR, &asked, &from_visitor);
        expect(PROXY, &asked, &from_proxy);
    }

    #[test]
    fn what_belongs_to_a_connection_stays_there() {
        let asked = [
            ("host", "shop.example"),
            ("connection", "close, X-Own, content-length, host, x-forwarded-for"),
            ("content-length", "3"),
            ("expect", "100-continue"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "secret"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-own", "1"),
        ];
        let expected = [
            ("content-length", "3"),
            ("host", "origin.example"),
            ("via", "1.1 dcdn-1"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-proto", "http"),
        ];
        expect(VISITOR, &asked, &expected);
    }

    #[test]
    fn a_change_to_a_websocket_passes() {
        let asked = [("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")];
        let expected = [
            ("connection", "upgrade"),
            ("host", "origin.example"),
            ("upgrade", "websocket"),
            ("via", "1.1 dcdn-1"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "http"),
        ];
        expect(VISITOR, &asked, &expected);
        let others = ["h2c", "websocket, h2c", "TLS/1.0"]
            .map(|it| [("connection", "upgrade"), ("upgrade", it)]);
        for other in others {
            let sent = sent(VISITOR, &other);
            assert!(
                sent.iter().all(|(name, _)| name != "upgrade" && name != "connection"),
                "{sent:?}"
            );
        }
    }

    #[test]
    fn a_redirect_within_the_origin_stays_in_the_site() {
        let origin: OriginUrl = "http://127.0.0.1:3000".parse().unwrap();
        let via = HeaderValue::from_static("1.1 dcdn-1");
        let location = |value| {
            let answer = to_visitor(headers(&[("location", value)]), &origin, &via);
            answer["location"].to_str().unwrap().to_owned()
        };
        assert_eq!(location("http://127.0.0.1:3000/login"), "/login");
        assert_eq!(location("/login"), "/login");
        assert_eq!(location("https://pay.example/"), "https://pay.example/");
    }

    #[test]
    fn a_request_that_comes_back_is_known() {
        let via = HeaderValue::from_static("1.1 dcdn-1");
        assert!(is_loop(&headers(&[("via", "1.0 a, 1.1 dcdn-1")]), &via));
        assert!(!is_loop(&headers(&[("via", "1.1 dcdn-2")]), &via));
        assert!(!is_loop(&headers(&[]), &via));
    }
}
