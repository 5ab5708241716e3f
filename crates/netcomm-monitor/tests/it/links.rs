//! What an estimator makes of ten links, fed by the client's own observations.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use netcomm_core::{Env, Event, Interest, Observation, Observe, Tap};
use netcomm_http::Client;
use netcomm_http::testing::{Reply, ScriptedServer};
use netcomm_monitor::{EffectiveType, Estimator, Quality, QualityConfig};
use netcomm_tests::{LinkProfile, ScriptedDialer, ShapedDialer, TokioClock};

/// Tells an estimator what calls show.
#[derive(Clone)]
struct Feed(Arc<Mutex<Estimator>>);

impl Observe for Feed {
    fn interest(&self) -> Interest {
        Interest::CALL | Interest::ATTEMPT | Interest::TRANSFER
    }

    fn observe(&self, observation: &Observation) {
        let (at, mut estimator) = (observation.at, self.0.lock().expect("no panic"));
        match &observation.event {
            Event::CallStarted { .. } => estimator.transfer_began(at),
            Event::CallEnded { .. } => estimator.transfer_ended(at),
            Event::BodyReceived { bytes } => estimator.received(at, *bytes),
            Event::AttemptEnded { error, reused, wait, .. } => {
                estimator.outcome(at, error.is_none());
                if let Some(wait) = wait.filter(|_| *reused) {
                    estimator.http_rtt(at, wait);
                }
            }
            _ => {}
        }
    }
}

struct Line {
    client: Client,
    feed: Feed,
}

impl Line {
    fn new(profile: LinkProfile) -> Self {
        let bytes = usize::try_from(profile.down_kbps * 16).expect("fits").max(16_000);
        let server = ScriptedServer::builder()
            .route("/small", Reply::status(200).body("ok"))
            .route("/large", Reply::status(200).body(vec![b'x'; bytes]))
            .offline();
        let far = ScriptedDialer::new();
        far.serve_all(move |stream| server.serve(stream));
        let feed = Feed(Arc::new(Mutex::new(Estimator::new(QualityConfig::new()))));
        let env = Env::new(ShapedDialer::new(far, profile, 7), TokioClock::new()).with_tap(Tap::new(feed.clone()));
        Self { client: Client::builder(&env).build().expect("a client"), feed }
    }

    async fn get(&self, path: &str) {
        let response = self.client.get(format!("http://a.example/{path}")).send().await.expect("an answer");
        response.bytes().await.expect("a body");
    }

    fn quality(&self) -> Quality {
        self.feed.0.lock().expect("no panic").quality(now())
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[tokio::test(start_paused = true)]
async fn round_trips_within_a_tenth_after_five_samples_and_the_right_class() {
    for profile in LinkProfile::ALL {
        let line = Line::new(profile);
        for _ in 0..6 {
            line.get("small").await;
        }
        let quality = line.quality();
        let (rtt, expected) = (quality.http_rtt.expect("a round trip").as_secs_f64(), profile.rtt.as_secs_f64());
        println!("{:>10} {expected:.3} s: {rtt:.4} s, {:?} {}", profile.name, quality.effective, quality.score);
        assert_eq!(quality.samples, 5, "{}", profile.name);
        assert!((rtt / expected - 1.0).abs() < 0.1, "{}: {rtt} for {expected}", profile.name);
        assert_eq!(quality.effective, Some(class(profile)), "{}", profile.name);
    }
}

#[tokio::test(start_paused = true)]
async fn the_downlink_of_eight_downloads_and_the_same_class() {
    for profile in LinkProfile::ALL {
        let line = Line::new(profile);
        for _ in 0..6 {
            line.get("small").await;
        }
        let large = || line.get("large");
        tokio::join!(large(), large(), large(), large(), large(), large(), large(), large());
        let quality = line.quality();
        println!("{:>10} {} kbit/s: {:?}", profile.name, profile.down_kbps, quality.downlink_kbps);
        assert_eq!(quality.effective, Some(class(profile)), "{}", profile.name);
        if [LinkProfile::SLOW_2G, LinkProfile::TWO_G].contains(&profile) {
            // Less than TCP's first window in a round trip cannot be told from what hangs.
            assert_eq!(quality.downlink_kbps, None, "{}", profile.name);
            continue;
        }
        // No 3g has more than 3.5 times what is typical of it.
        let most = if class(profile) == EffectiveType::ThreeG { 1400.0 } else { f64::MAX };
        let expected = f64::min(profile.down_kbps as f64, most);
        let downlink = quality.downlink_kbps.expect("a downlink");
        assert!((downlink / expected - 1.0).abs() < 0.25, "{}: {downlink} for {expected}", profile.name);
    }
}

fn class(profile: LinkProfile) -> EffectiveType {
    match profile.name {
        "slow-2g" => EffectiveType::Slow2g,
        "2g" => EffectiveType::TwoG,
        "edge" | "3g" | "satellite" => EffectiveType::ThreeG,
        _ => EffectiveType::FourG,
    }
}

#[tokio::test(start_paused = true)]
async fn a_poor_link_is_forecast_no_end_and_has_a_poor_score() {
    let score = async |profile| {
        let line = Line::new(profile);
        for _ in 0..40 {
            line.get("small").await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let forecast = line.feed.0.lock().expect("no panic").forecast(now());
        assert!(forecast.soon.probability < 0.05, "{forecast:?}");
        line.quality().score
    };
    let scores =
        [score(LinkProfile::SLOW_2G).await, score(LinkProfile::LOSSY).await, score(LinkProfile::ETHERNET).await];
    assert!(scores[0] < 35 && scores[0] < scores[1] && scores[1] < scores[2] && scores[2] > 90, "{scores:?}");
}
