//! The proxy before servers that check signatures and speak of themselves: what boto3 and `bao` see through it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keyward_conformance::servers::{Answer, Fault, Proxy, server_setting, server_url};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

const NO_SECRET: &str = "keyward-no-such-secret";

/// A user of ministack: of those it checks the signature.
const NEW_USER: &str = r#"
import boto3, os, uuid
iam, name = boto3.client("iam", endpoint_url=os.environ["KEYWARD_TEST_MINISTACK_URL"]), "t" + uuid.uuid4().hex
iam.create_user(UserName=name)
allow = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}]}'
iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=allow)
key = iam.create_access_key(UserName=name)["AccessKey"]
print(key["AccessKeyId"], key["SecretAccessKey"])
"#;

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn a_signature_of_aws_holds_through_the_proxy() {
    run(async {
        let proxy = Proxy::start(&server_url("KEYWARD_TEST_MINISTACK_URL")).await;
        let made = python().args(["-c", NEW_USER]).env("AWS_DEFAULT_REGION", "us-east-1").output();
        let made = String::from_utf8(made.expect("Python runs").stdout).expect("text");
        let (id, secret) = made.trim_end().split_once(' ').expect("the key of a new user");
        let read = async |secret| {
            let mut reader = reader("poll_aws.py", &[NO_SECRET], &proxy.url());
            reader.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
            first_line(reader).await
        };
        assert_eq!(read(secret).await, r#"{"none": true}"#);
        assert!(proxy.requests_of("GetSecretValue") > 0);
        // The server does check: another key is refused by it.
        assert_eq!(read("another").await, r#"{"error": "InvalidSignatureException"}"#);
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn each_fault_is_an_error_to_boto3_as_well() {
    run(async {
        let proxy = Proxy::start(&server_url("KEYWARD_TEST_MINISTACK_URL")).await;
        let faults = [
            (Fault::Refuse, "ConnectionClosedError"),
            (Fault::LoseReply, "ConnectionClosedError"),
            (Fault::Answer(Answer::aws(400, "ThrottlingException")), "ThrottlingException"),
        ];
        for (fault, error) in faults {
            proxy.clear();
            proxy.plan(fault.on("GetSecretValue"));
            let seen = first_line(reader("poll_aws.py", &[NO_SECRET], &proxy.url())).await;
            assert_eq!(seen, format!(r#"{{"error": "{error}"}}"#));
        }
    });
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn the_bao_command_works_through_the_proxy() {
    run(async {
        let proxy = Proxy::start(&server_url("VAULT_ADDR")).await;
        let where_it_is = ["cli", "secret", "keyward-no-such-path", "value"];
        let seen = first_line(reader("poll_vault.py", &where_it_is, &proxy.url())).await;
        assert_eq!(seen, r#"{"none": true}"#);
        assert!(proxy.count(|call| call.path.ends_with("/keyward-no-such-path")) > 0);
    });
}

fn python() -> Command {
    Command::new(server_setting("KEYWARD_TEST_PYTHON"))
}

/// A reader that goes through a proxy.
fn reader(script: &str, arguments: &[&str], url: &str) -> Command {
    let mut command = python();
    command.arg(format!("{}/../../tests/servers/{script}", env!("CARGO_MANIFEST_DIR"))).args(arguments);
    command.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", url).env("VAULT_ADDR", url);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// The first thing a reader says.
async fn first_line(mut reader: Command) -> String {
    let reader = Reader(reader.spawn().expect("a reader starts"));
    spawn_blocking(move || reader.first_line()).await.expect("no panic")
}

/// Ends with the test.
struct Reader(Child);

impl Reader {
    fn first_line(mut self) -> String {
        let mut line = String::new();
        let output = self.0.stdout.take().expect("an output");
        BufReader::new(output).read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { timeout(Duration::from_secs(60), test).await.expect("a test ends") });
}
