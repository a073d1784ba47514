//! The proxy does to each request what its plan says, and nothing else.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use keyward_conformance::servers::{Answer, Fault, Proxy, Stub};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(10);

#[test]
fn without_a_plan_everything_passes_unchanged() {
    run(async {
        let (server, proxy) = pair().await;
        let request = Request::put("/v1/secret/data/x?version=2")
            .header("host", "signed.example.com")
            .header("authorization", "signature")
            .header("x-amz-target", "secretsmanager.PutSecretValue");
        let reply = send(&proxy.url(), request.body(Full::from("body")).expect("a request")).await.expect("a reply");
        assert_eq!(reply.status(), 418);
        assert_eq!(reply.headers()["x-from"], "server");
        assert_eq!(reply.body(), "pong");

        let seen = server.seen();
        assert_eq!(seen.len(), 1);
        let expected = "PUT /v1/secret/data/x?version=2 host=signed.example.com authorization=signature target=secretsmanager.PutSecretValue body=body";
        assert_eq!(seen[0], expected);
    });
}

#[test]
fn a_refused_request_never_reaches_the_server() {
    run(async {
        let (server, proxy) = pair().await;
        proxy.plan(Fault::Refuse.always());
        assert_eq!(ask(&proxy).await, Err("no reply"));
        assert_eq!(server.seen().len(), 0);
        assert_eq!(proxy.requests(), 1);
    });
}

#[test]
fn a_lost_reply_is_of_a_request_that_took_effect_once() {
    run(async {
        let (server, proxy) = pair().await;
        proxy.plan(Fault::LoseReply.always());
        assert_eq!(ask(&proxy).await, Err("no reply"));
        assert_eq!(server.seen().len(), 1);
    });
}

#[test]
fn an_answer_replaces_the_server() {
    run(async {
        let (server, proxy) = pair().await;
        proxy.plan(Fault::Answer(Answer::aws(400, "ThrottlingException")).always());
        let reply = send(&proxy.url(), get("/")).await.expect("a reply");
        assert_eq!(reply.status(), 400);
        assert_eq!(reply.headers()["x-amzn-errortype"], "ThrottlingException");
        assert_eq!(reply.body(), r#"{"__type":"ThrottlingException","message":"made for a test"}"#);
        assert_eq!(server.seen().len(), 0);
    });
}

#[test]
fn a_cut_reply_breaks_off_in_its_middle_after_the_server_acted() {
    run(async {
        let (server, proxy) = pair().await;
        proxy.plan(Fault::Truncate.always());
        assert_eq!(ask(&proxy).await, Err("half a reply"));
        assert_eq!(server.seen().len(), 1);

        let mut connection = connect(&proxy.url()).await;
        let mut body = connection.send_request(get("/")).await.expect("the head of a reply").into_body();
        assert_eq!(body.frame().await.expect("a frame").expect("the first half").into_data().expect("data"), "po");
        assert!(body.frame().await.expect("an end").is_err());
    });
}

#[test]
fn a_reply_without_a_body_cannot_be_cut_and_is_lost() {
    run(async {
        let server = Stub::start(Duration::ZERO, |_, _| Answer::new(204, "")).await;
        let proxy = Proxy::start(&server.url()).await;
        proxy.plan(Fault::Truncate.always());
        assert_eq!(ask(&proxy).await, Err("no reply"));
        assert_eq!(server.requests(), 1);
    });
}

#[test]
fn a_delayed_request_waits_and_is_answered() {
    run(async {
        let (_server, proxy) = pair().await;
        proxy.plan(Fault::Delay(SHORT).always());
        let began = Instant::now();
        assert_eq!(ask(&proxy).await, Ok("pong".into()));
        assert!(began.elapsed() >= SHORT);
    });
}

#[test]
fn a_delayed_request_lands_although_its_client_gave_up() {
    run(async {
        let (server, proxy) = pair().await;
        proxy.plan(Fault::Delay(4 * SHORT).always());
        timeout(SHORT, ask(&proxy)).await.expect_err("the client gives up first");
        assert_eq!(server.seen().len(), 0);
        timeout(LONG, server.saw(1)).await.expect("the request lands");
    });
}

#[test]
fn numbers_skips_and_limits_choose_the_requests() {
    run(async {
        let (_server, proxy) = pair().await;
        let refused = |status| Fault::Answer(Answer::new(status, "no")).when(|call| call.path == "/x");
        proxy.plan(Fault::Answer(Answer::new(500, "no")).at(3));
        proxy.plan(refused(501).after(1).times(2));
        let mut statuses = Vec::new();
        for path in ["/x", "/x", "/y", "/x", "/x", "/x"] {
            statuses.push(send(&proxy.url(), get(path)).await.expect("a reply").status().as_u16());
        }
        assert_eq!(statuses, [418, 501, 418, 500, 501, 418]);

        proxy.plan(Fault::Refuse.always());
        proxy.clear();
        assert!(ask(&proxy).await.is_ok());
        assert_eq!(proxy.count(|call| call.path == "/x"), 5);
    });
}

#[test]
fn operations_of_both_protocols_of_aws_are_known_and_logged_without_bodies() {
    run(async {
        let (_server, proxy) = pair().await;
        proxy.plan(Fault::Refuse.on("PutSecretValue"));
        proxy.plan(Fault::LoseReply.on("CreateAccessKey"));
        let json = Request::post("/").header("x-amz-target", "secretsmanager.PutSecretValue");
        let json = json.body(Full::from(r#"{"SecretString":"swordfish"}"#)).expect("a request");
        let form = Request::post("/").body(Full::from("Action=CreateAccessKey&UserName=swordfish"));
        assert!(send(&proxy.url(), json).await.is_err());
        assert!(send(&proxy.url(), form.expect("a request")).await.is_err());
        assert!(send(&proxy.url(), get("/v1/secret/data/x?secret=swordfish")).await.is_ok());
        let expected =
            ["0 POST / PutSecretValue: refused", "1 POST / CreateAccessKey: reply lost", "2 GET /v1/secret/data/x"];
        assert_eq!(proxy.log(), expected);
        assert_eq!(proxy.requests_of("CreateAccessKey"), 1);
        assert!(!format!("{proxy:?}").contains("swordfish"));
    });
}

#[test]
fn a_connection_serves_many_requests_until_a_fault_ends_it() {
    run(async {
        let (_server, proxy) = pair().await;
        proxy.plan(Fault::Refuse.at(3));
        let mut connection = connect(&proxy.url()).await;
        for _ in 0..3 {
            connection.ready().await.expect("an open connection");
            let reply = connection.send_request(get("/")).await.expect("a reply");
            reply.into_body().collect().await.expect("its body");
        }
        connection.ready().await.expect("an open connection");
        assert!(connection.send_request(get("/")).await.is_err());
        assert!(ask(&proxy).await.is_ok(), "a new connection works");
    });
}

#[test]
fn a_server_that_is_gone_looks_gone() {
    run(async {
        let (server, proxy) = pair().await;
        drop(server);
        assert_eq!(ask(&proxy).await, Err("no reply"));
    });
}

#[test]
fn a_dropped_proxy_ends_its_connections_and_what_it_held_back() {
    run(async {
        let (server, proxy) = pair().await;
        proxy.plan(Fault::Delay(2 * SHORT).at(1));
        let mut connection = connect(&proxy.url()).await;
        connection.send_request(get("/")).await.expect("a reply").into_body().collect().await.expect("its body");
        let url = proxy.url();
        let held = tokio::spawn(async move { connection.send_request(get("/")).await.is_err() });
        while proxy.requests() < 2 {
            sleep(Duration::from_millis(1)).await;
        }
        drop(proxy);
        assert!(timeout(LONG, held).await.expect("the connection ends").expect("no panic"));
        sleep(4 * SHORT).await;
        assert_eq!(server.seen().len(), 1, "the request that was held back never lands");
        assert!(TcpStream::connect(url.trim_start_matches("http://")).await.is_err());
    });
}

#[test]
fn a_stub_takes_its_time_for_each_request_but_not_one_after_the_other() {
    run(async {
        let stub = Stub::start(4 * SHORT, |request, body| {
            Answer::new(200, format!("{} {}", request.uri.path(), String::from_utf8_lossy(body)))
        });
        let url = stub.await;
        let began = Instant::now();
        let asked: Vec<_> = (0..8).map(|n| tokio::spawn(send_to(url.url(), get(&format!("/{n}"))))).collect();
        for (n, asked) in asked.into_iter().enumerate() {
            assert_eq!(asked.await.expect("no panic").expect("a reply").body(), &format!("/{n} "));
        }
        assert!((4 * SHORT..30 * SHORT).contains(&began.elapsed()));
        assert_eq!(url.requests(), 8);
    });
}

/// A server that notes what it sees.
struct Server {
    stub: Stub,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").clone()
    }

    async fn saw(&self, requests: usize) {
        while self.seen().len() < requests {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn pair() -> (Server, Proxy) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    let stub = Stub::start(Duration::ZERO, move |request, body| {
        let header =
            |name: &str| request.headers.get(name).map_or("", |value| value.to_str().expect("text")).to_owned();
        let (host, authorization, target) = (header("host"), header("authorization"), header("x-amz-target"));
        notes.lock().expect("no panic").push(format!(
            "{} {} host={host} authorization={authorization} target={target} body={}",
            request.method,
            request.uri,
            String::from_utf8_lossy(body),
        ));
        Answer::new(418, "pong").header("x-from", "server")
    });
    let server = Server { stub: stub.await, seen };
    let proxy = Proxy::start(&server.stub.url()).await;
    (server, proxy)
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).expect("a request")
}

async fn ask(proxy: &Proxy) -> Result<Bytes, &'static str> {
    send(&proxy.url(), get("/")).await.map(Response::into_body)
}

async fn send_to(url: String, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, &'static str> {
    send(&url, request).await
}

/// One request on a connection of its own; what came of it.
async fn send(url: &str, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, &'static str> {
    let reply = connect(url).await.send_request(request).await.map_err(|_| "no reply")?;
    let (parts, body) = reply.into_parts();
    let body = body.collect().await.map_err(|_| "half a reply")?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

async fn connect(url: &str) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(url.trim_start_matches("http://")).await.expect("a listening socket");
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    sender
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { timeout(3 * LONG, test).await.expect("a test ends") });
}
