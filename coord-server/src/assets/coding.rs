//! `Accept-Encoding` -> how to send something that is there as it is and after gzip. Pure.
//! RFC 9110 section 12.5.3.

use axum::http::{HeaderMap, header};

/// Whether to send it after gzip: the client takes that, and does not like it less than what is
/// as it is. Who does not say what it takes gets it as it is.
pub fn prefers_gzip(request: &HeaderMap) -> bool {
    let fields = request.get_all(header::ACCEPT_ENCODING).iter();
    let codings: Vec<(String, u16)> = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .filter_map(coding)
        .collect();
    let of = |names: &[&str]| {
        codings.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, weight)| *weight)
    };
    // "x-gzip" is the same (section 8.4.1.3), and "*" is what is not named.
    let gzip = of(&["gzip", "x-gzip"]).or_else(|| of(&["*"])).unwrap_or(0);
    gzip > 0 && gzip >= of(&["identity"]).unwrap_or(0)
}

/// The name of a coding, in lower case, and its weight in thousandths. What cannot be read is as
/// if it were not there.
fn coding(text: &str) -> Option<(String, u16)> {
    let (name, parameter) = match text.split_once(';') {
        Some((name, parameter)) => (name, Some(parameter.trim())),
        None => (text, None),
    };
    let weight = match parameter {
        Some(parameter) => weight(parameter)?,
        None => 1000,
    };
    Some((name.trim().to_ascii_lowercase(), weight))
}

/// `q=0.5` in thousandths (section 12.4.2).
fn weight(parameter: &str) -> Option<u16> {
    let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?;
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if whole.len() != 1 || decimals.len() > 3 || !decimals.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{whole}{decimals:0<3}").parse().ok()?;
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn prefers(fields: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(field));
        }
        prefers_gzip(&headers)
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for fields in [
            &["gzip"][..],
            &["gzip, deflate, br, zstd"],
            &["br;q=1.0,GZip ; q=0.8 , *;q=0.1"],
            &["x-gzip"],
            &["*"],
            &["br", "gzip"],
            &["gzip;q=0.001, identity;q=0"],
            &["gzip;q=1.000"],
            &["identity;q=0.5, *;q=0.5"],
        ] {
            assert!(prefers(fields), "{fields:?}");
        }
    }

    #[test]
    fn who_does_not_say_so_or_would_rather_not_gets_it_as_it_is() {
        for fields in [
            &[][..],
            &[""],
            &["identity"],
            &["br, zstd"],
            &["gzip;q=0"],
            &["gzip; q=0.000, br"],
            &["gzip;q=0, *"],
            &["*;q=0"],
            &["gzip;q=0.5, identity"],
            &["gzipped"],
            &["gzip;q=1.001"],
            &["gzip;q=+1"],
            &["gzip;q="],
            &["gzip;level=9"],
        ] {
            assert!(!prefers(fields), "{fields:?}");
        }
    }
}
