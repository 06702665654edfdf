//! What `seedbed check` finds at RabbitMQ, and that it makes nothing there.

use lapin::{options::QueueDeclareOptions, types::FieldTable};
use testkit::{cluster::Cluster, servers::RabbitMq};

use super::{super::broker::support::other_program, fails};

/// Everything that can be left in a virtual host.
fn left(rabbitmq: &RabbitMq, vhost: &str) -> String {
    let listings = [
        &["list_queues", "name"][..],
        &["list_exchanges", "name"],
        &["list_bindings", "source_name", "destination_name"],
        &["list_policies"],
    ];
    let listed = listings.map(|listing| {
        let [command, columns @ ..] = listing else {
            unreachable!("each has a name")
        };
        rabbitmq.ctl(&[&[*command, "-p", vhost], columns].concat())
    });
    listed.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_makes_nothing_at_rabbitmq_and_says_what_the_first_run_makes() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(2, 5);
    let vhost = cluster.broker_url.rsplit('/').next().unwrap();
    let before = left(&cluster.rabbitmq, vhost);
    let (_, told) = cluster.program.check(0).await["broker"].clone();
    assert!(told.contains("the first run makes them"), "{told}");
    assert_eq!(left(&cluster.rabbitmq, vhost), before);
    // What passed runs, and then there is nothing left to make.
    let workers = cluster.start_workers(1);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    let made = left(&cluster.rabbitmq, vhost);
    let (_, told) = cluster.program.check(0).await["broker"].clone();
    assert!(told.ends_with(": 0 jobs waiting, 0 parked"), "{told}");
    assert_eq!(left(&cluster.rabbitmq, vhost), made);
    drop(workers);
    // Of several that somebody deleted, the rest stays as it is.
    cluster
        .rabbitmq
        .ctl(&["delete_queue", "-p", vhost, "seed.jobs.delay.64"]);
    let (_, told) = cluster.program.check(0).await["broker"].clone();
    assert!(told.contains("1 queue will be made"), "{told}");
    assert!(!left(&cluster.rabbitmq, vhost).contains("seed.jobs.delay.64"));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_a_right_that_is_missing_and_a_run_with_the_others_works() {
    let mut cluster = Cluster::start().await;
    let stores = cluster.add_stores(1, 5);
    let vhost = cluster.broker_url.rsplit('/').next().unwrap().to_owned();
    let user = format!("narrow-{vhost}");
    let rabbitmq = cluster.rabbitmq.clone();
    rabbitmq.add_user(&user, "secret");
    let url = rabbitmq.url_with(&format!("{user}:secret"), &vhost);
    cluster.program.set("BROKER__URL", url);
    let own = r"^seed\.";
    let publish = r"^(seed\.|amq\.default$)";
    let permit = |configure: &str, write: &str, read: &str| {
        rabbitmq.ctl(&[
            "set_permissions",
            "-p",
            &vhost,
            &user,
            configure,
            write,
            read,
        ]);
    };
    let before = left(&rabbitmq, &vhost);
    for (configure, write, read, refused) in [
        (r"^seed\.jobs$", publish, own, "seed.dead"),
        (r"^seed\.(dead|jobs$)", publish, own, "seed.events"),
        (own, r"^seed\.", own, "amq.default"),
        (own, r"^(seed\.jobs|amq\.default$)", own, "seed.dead"),
        (own, publish, r"^seed\.jobs$", "seed.events"),
    ] {
        permit(configure, write, read);
        let said = [refused, "ACCESS_REFUSED", "set_permissions"];
        fails(&cluster, "broker", &said).await;
        assert_eq!(left(&rabbitmq, &vhost), before);
    }
    permit(own, publish, own);
    cluster.program.check(0).await;
    let workers = cluster.start_workers(1);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    drop(workers);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_a_queue_with_other_arguments() {
    let cluster = Cluster::start().await;
    cluster.add_stores(1, 5);
    let (_connection, other) = other_program(&cluster.broker_url).await;
    let durable = QueueDeclareOptions::durable();
    let declared = other.queue_declare("seed.jobs".into(), durable, FieldTable::default());
    declared.await.unwrap();
    let said = ["seed.jobs", "PRECONDITION_FAILED", "delete_queue"];
    fails(&cluster, "broker", &said).await;
}
