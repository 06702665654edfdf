//! The contract of object storage for snapshots, on each kind: a directory, S3, Azure Blob Storage, Google Cloud Storage.

mod faults;
mod files;
mod latest;
mod place;

use testkit::objects::ObjectServer;

use self::{faults::*, files::*, latest::*, place::Place};

/// The tests that every kind passes, and those of this one.
macro_rules! on {
    ($kind:ident: $place:expr => $($test:ident),+ $(,)?) => {
        on!(in mod $kind: $place =>
            a_large_file_comes_back_as_it_was_stored,
            each_rendition_unwraps_to_the_file_and_says_what_it_is,
            a_manifest_comes_back_and_is_never_replaced,
            deleting_a_job_spares_the_others,
            a_signed_url_reads_its_object_until_it_expires,
            the_latest_copy_is_never_replaced_by_an_older_job,
            $($test),+
        );
    };
    (in mod $kind:ident: $place:expr => $($test:ident),+) => {
        mod $kind {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    // A server that cannot be had here is left out.
                    if let Some(place) = Option::<Place>::from($place) {
                        super::$test(place).await;
                    }
                }
            )+
        }
    };
}

on!(in_a_directory: Place::directory() => a_failed_upload_leaves_nothing);

on!(in_s3: Place::on(ObjectServer::s3().await) =>
    jobs_that_finish_together_leave_the_newest_as_latest,
    an_abandoned_upload_leaves_nothing,
    a_failed_upload_leaves_nothing,
    faults_of_the_store_are_survived,
    an_upload_that_cannot_go_on_stops_reading,
);

on!(in_minio: Place::on_minio().await =>
    jobs_that_finish_together_leave_the_newest_as_latest,
    an_abandoned_upload_leaves_nothing,
    a_failed_upload_leaves_nothing,
    faults_of_the_store_are_survived,
    an_upload_that_cannot_go_on_stops_reading,
);

on!(in_azure: Place::on(ObjectServer::azurite().await) =>
    jobs_that_finish_together_leave_the_newest_as_latest,
    an_abandoned_upload_leaves_nothing,
    faults_of_the_store_are_survived,
);

on!(in_google: Place::on(ObjectServer::gcs().await) =>
    jobs_that_finish_together_leave_the_newest_as_latest,
    an_abandoned_upload_leaves_nothing,
    faults_of_the_store_are_survived,
);
