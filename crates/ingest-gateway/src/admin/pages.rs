//! Requests and their answers.

use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap,
    HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};

use super::exposition::Format;
use super::host::is_local;
use super::metrics;
use super::status::Report;
use super::view::View;

const TEXT: &str = "text/plain; charset=utf-8";

/// What programs and plain clients get instead of the page.
const INDEX: &str = "\
ingestry

/         in a browser: this gateway, live
/health   whether the process works
/ready    whether it takes data
/status   everything that is counted, as JSON
/metrics  the same for Prometheus
";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const PAGE_HTML: &str = include_str!("page/index.html");
const PAGE_CSS: &str = include_str!("page/page.css");
const PAGE_JS: &str = include_str!("page/page.js");
/// The page loads its own files and reads `/status`; nothing else, and nobody frames it.
const POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers a request. `loopback`: the listener is for this machine alone.
pub(crate) fn answer<B>(
    view: &dyn View,
    loopback: bool,
    request: &Request<B>,
) -> Response<Full<Bytes>> {
    if loopback && !is_for_us(request) {
        let text = "this listener answers to localhost and to addresses only\n";
        return page(StatusCode::FORBIDDEN, TEXT, text);
    }
    let known = route(request.uri().path());
    let Some(route) = known else {
        return page(StatusCode::NOT_FOUND, TEXT, "no such page; / lists them\n");
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let text = "pages can be read, and nothing else\n";
        let mut response = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match route {
        Route::Index if wants_html(request.headers()) => policed(HTML, PAGE_HTML),
        Route::Index => page(StatusCode::OK, TEXT, INDEX),
        Route::Css => policed(CSS, PAGE_CSS),
        Route::Js => policed(JS, PAGE_JS),
        Route::Health => page(StatusCode::OK, TEXT, "ok\n"),
        Route::Ready => ready(view),
        Route::Metrics => metrics_page(view, request.headers()),
        Route::Status => status_page(view),
    }
}

#[derive(Clone, Copy)]
enum Route {
    Index,
    Css,
    Js,
    Health,
    Ready,
    Metrics,
    Status,
}

fn route(path: &str) -> Option<Route> {
    match path {
        "/" => Some(Route::Index),
        "/page.css" => Some(Route::Css),
        "/page.js" => Some(Route::Js),
        "/health" => Some(Route::Health),
        "/ready" => Some(Route::Ready),
        "/metrics" => Some(Route::Metrics),
        "/status" => Some(Route::Status),
        _ => None,
    }
}

fn is_for_us<B>(request: &Request<B>) -> bool {
    let authority = request.uri().authority();
    authority.is_none_or(|authority| is_local(authority.as_str().as_bytes()))
        && request.headers().get_all(HOST).iter().all(|host| is_local(host.as_bytes()))
}

/// Browsers say so; programs do not.
fn wants_html(headers: &HeaderMap) -> bool {
    let named = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains("text/html"));
    headers.get_all(ACCEPT).iter().any(named)
}

fn policed(content_type: &'static str, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = page(StatusCode::OK, content_type, body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn ready(view: &dyn View) -> Response<Full<Bytes>> {
    if view.ready() {
        return page(StatusCode::OK, TEXT, "ready\n");
    }
    let health = view.status().log.health;
    let reason = match health {
        ingest_wal::Health::Accepting => "not ready: not every listener is up\n".to_owned(),
        _ => format!("not ready: the log is {}\n", health.as_str()),
    };
    page(StatusCode::SERVICE_UNAVAILABLE, TEXT, reason)
}

fn metrics_page(view: &dyn View, headers: &HeaderMap) -> Response<Full<Bytes>> {
    let wants = |value: &HeaderValue| {
        value.to_str().is_ok_and(|text| Format::accepted_by(text) == Format::OpenMetrics)
    };
    let open = headers.get_all(ACCEPT).iter().any(wants);
    let format = if open { Format::OpenMetrics } else { Format::Text };
    let report = Report::new(view, SystemTime::now());
    match metrics::render(report, metrics::resident_bytes(), format) {
        Ok(text) => page(StatusCode::OK, format.content_type(), text),
        Err(error) => failed(&error),
    }
}

fn status_page(view: &dyn View) -> Response<Full<Bytes>> {
    match serde_json::to_vec_pretty(&Report::new(view, SystemTime::now())) {
        Ok(mut json) => {
            json.push(b'\n');
            page(StatusCode::OK, "application/json", json)
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> Response<Full<Bytes>> {
    tracing::warn!(%error, "an admin page could not be made");
    page(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the page could not be made\n")
}

fn page(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::admin::testing::FakeView;

    fn ask(view: &FakeView, request: Request<()>) -> (StatusCode, HeaderMap, String) {
        let response = answer(view, true, &request);
        let (head, body) = response.into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bytes = runtime.block_on(body.collect()).unwrap().to_bytes();
        (head.status, head.headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn get(view: &FakeView, path: &str) -> (StatusCode, HeaderMap, String) {
        ask(view, Request::get(path).body(()).unwrap())
    }

    #[test]
    fn every_listed_page_is_there() {
        let view = FakeView::new();
        let (status, _, index) = get(&view, "/");
        assert_eq!(status, StatusCode::OK);
        let paths: Vec<&str> = index
            .lines()
            .filter(|line| line.starts_with('/'))
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(paths, ["/", "/health", "/ready", "/status", "/metrics"]);
        for path in paths {
            let (status, headers, body) = get(&view, path);
            assert_eq!(status, StatusCode::OK, "{path}");
            assert!(headers.contains_key(CONTENT_TYPE) && body.ends_with('\n'), "{path}");
        }
    }

    #[test]
    fn a_browser_gets_a_page_whose_files_are_there() {
        let view = FakeView::new();
        let request = Request::get("/").header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
        let (status, headers, html) = ask(&view, request.body(()).unwrap());
        assert_eq!((status, headers[CONTENT_TYPE].as_bytes()), (StatusCode::OK, HTML.as_bytes()));
        assert!(headers[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("default-src 'none'"));
        for (file, content_type) in [("page.css", CSS), ("page.js", JS)] {
            assert!(html.contains(&format!("\"{file}\"")), "{file}");
            let (status, headers, _) = get(&view, &format!("/{file}"));
            assert_eq!(status, StatusCode::OK);
            assert_eq!(headers[CONTENT_TYPE], content_type);
        }
        // Everything that the script shows by name is on the page.
        let named = PAGE_JS.split("id(\"").skip(1).filter_map(|rest| rest.split('"').next());
        for name in named.filter(|name| !name.is_empty()) {
            assert!(html.contains(&format!("id=\"{name}\"")), "{name}");
        }
    }

    #[test]
    fn not_ready_says_why() {
        let mut view = FakeView::new();
        view.ready = false;
        let (status, _, text) = get(&view, "/ready");
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("listener"), "{text}");
        view.status.log.health = ingest_wal::Health::Full;
        assert!(get(&view, "/ready").2.contains("the log is full"));
        assert_eq!(get(&view, "/health").0, StatusCode::OK);
    }

    #[test]
    fn metrics_come_as_asked() {
        let view = FakeView::new();
        let (_, headers, text) = get(&view, "/metrics");
        assert_eq!(headers[CONTENT_TYPE], Format::Text.content_type());
        assert!(text.contains("# TYPE ingestry_log_syncs_total counter\n"));
        let request = Request::get("/metrics")
            .header(ACCEPT, "text/html")
            .header(ACCEPT, "application/openmetrics-text; version=1.0.0");
        let (_, headers, text) = ask(&view, request.body(()).unwrap());
        assert_eq!(headers[CONTENT_TYPE], Format::OpenMetrics.content_type());
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn names_of_others_are_refused_on_loopback_only() {
        let view = FakeView::new();
        let foreign = || Request::get("/status").header(HOST, "rebound.example").body(()).unwrap();
        let (status, _, text) = ask(&view, foreign());
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(!text.contains("balanced"));
        assert_eq!(answer(&view, false, &foreign()).status(), StatusCode::OK);
        let absolute = Request::get("http://rebound.example/status").header(HOST, "localhost");
        assert_eq!(ask(&view, absolute.body(()).unwrap()).0, StatusCode::FORBIDDEN);
        let twice = Request::get("/").header(HOST, "localhost").header(HOST, "rebound.example");
        assert_eq!(ask(&view, twice.body(()).unwrap()).0, StatusCode::FORBIDDEN);
    }

    #[test]
    fn other_methods_and_paths_are_refused() {
        let view = FakeView::new();
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let request = Request::builder().method(method).uri("/status").body(()).unwrap();
            let (status, headers, _) = ask(&view, request);
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(headers[ALLOW], "GET, HEAD");
        }
        for path in ["/status/", "/x", "//status", "/STATUS"] {
            assert_eq!(get(&view, path).0, StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(get(&view, "/health?verbose").0, StatusCode::OK);
    }
}
