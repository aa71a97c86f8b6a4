//! Every kind of trouble at every place where a request is sent to read by pages and by jobs.
//!
//! A scenario sends these requests in one order; there is one for pages, jobs, the log of deletions, wide objects, jobs of
//! a version that lists no pages, and jobs that are given up. Writes are in `writes`. A kind strikes at one of them, once or for
//! good. Then the scenario recovers, or fails with the class that the catalogue promises, never with the secret in the
//! error, never for ever; and when the trouble is gone, the same connector ends with every row once.

mod sites;

use std::{sync::Arc, time::Duration};

use connector_sdk::{Class, Connector, Context, Error, Network, StreamSelection, StreamState};
use connector_testkit::{
    clock::FastClock,
    fault::{Fault, KINDS, Kind, Line, Outcome, Rule, TcpProxy, Trouble, UNRESOLVABLE, VendorTrouble},
    salesforce::{Bulk, FakeOrg, FieldType},
};
use serde_json::Value;

use sites::{FIRST, JOB_SITES, LASTING, OTHER_SITES, SITES, Scenario, exception};
pub(super) use sites::{Site, Times, site_of};

use crate::host::{self, Host, MINUTE, connect_by, start};

/// A vendor, and a connector that goes to it.
pub(super) struct Scene {
    pub(super) org: FakeOrg,
    proxy: Option<Arc<TcpProxy>>,
    pub(super) config: Value,
    pub(super) cx: Context,
    _authority: Option<tempfile::NamedTempFile>,
}

impl Scene {
    pub(super) async fn of(trouble: &Trouble) -> Self {
        Self::for_scenario(trouble, Scenario::Pages).await
    }

    async fn for_scenario(trouble: &Trouble, scenario: Scenario) -> Self {
        // Of two pages on their way nobody knows which one meets a broken connection.
        let page_rows = if matches!(trouble, Trouble::Line(_)) { 1_000 } else { 200 };
        // One that is given up still runs then.
        let polls_until_done = u32::from(scenario == Scenario::Abandoned);
        let jobs = Bulk { polls_until_done, page_rows, ..Bulk::default() };
        let builder = FakeOrg::builder().accounts(1).bulk(jobs);
        let builder = if scenario == Scenario::Wide {
            builder.contacts(1).wide(800, scenario.rows())
        } else {
            builder.contacts(scenario.rows())
        };
        let org = start(builder).await;
        let mut config = host::config(&org);
        if scenario == Scenario::Locators {
            config["api_version"] = "v57.0".into();
        }
        let mut network = Network::loopback();
        let mut authority = None;
        let proxy = match trouble {
            Trouble::Line(Line::Certificate(_)) => Some(TcpProxy::start_tls(org.address()).await.unwrap()),
            Trouble::Line(_) => Some(TcpProxy::start(org.address()).await.unwrap()),
            _ => None,
        };
        if let Some(proxy) = &proxy {
            org.stands_behind(proxy.url());
            config["instance_url"] = proxy.url().into();
            if let Some(pem) = proxy.authority_pem() {
                let file = tempfile::NamedTempFile::new().unwrap();
                std::fs::write(file.path(), pem).unwrap();
                network.ca_file = Some(file.path().to_owned());
                authority = Some(file);
            }
        }
        if *trouble == Trouble::Name {
            network.allow_hosts = vec!["*.vendor.invalid".to_owned()];
            config["instance_url"] = format!("http://{UNRESOLVABLE}").into();
        }
        let cx =
            Context::builder("acme", "acme-crm").network(network).clock(FastClock::shared()).seed(7).build();
        Self { org, proxy: proxy.map(Arc::new), config, cx, _authority: authority }
    }

    /// Puts the trouble at its place. Answers the rule that tells whether it happened.
    pub(super) fn strike(&self, trouble: &Trouble, site: Site, times: Times) -> Option<Rule> {
        let script = self.org.faults().on(site.matcher()).skip(site.before);
        let script = if times == Times::Once { script.times(1) } else { script.always() };
        match (trouble.clone(), &self.proxy) {
            (Trouble::Answer(fault), _) => return Some(script.then(fault)),
            // The request that was to be hit loses its connection, as do all others: the next one is new, and meets
            // the trouble.
            (Trouble::Line(line), Some(proxy)) => {
                let proxy = Arc::clone(proxy);
                let connections = if times == Times::Once { 1 } else { u64::MAX };
                let script = script.times(1).doing(move |_| {
                    proxy.next(connections, line.clone());
                    proxy.hang_up();
                });
                return Some(script.then(Fault::ResetBefore));
            }
            (Trouble::Vendor(VendorTrouble::Clock { millis }), _) => self.org.skew(millis),
            (Trouble::Vendor(VendorTrouble::Visibility { delay }), _) => self.org.set_visibility_delay(delay),
            (other, _) => assert_eq!(other, Trouble::Name, "put it somewhere"),
        }
        None
    }

    fn mend(&self, trouble: &Trouble) {
        self.org.faults().clear();
        if let Trouble::Vendor(VendorTrouble::Clock { millis }) = trouble {
            // Times that were given already come again.
            self.org.skew(-millis);
        }
        if let Some(proxy) = &self.proxy {
            proxy.mend();
        }
    }
}

/// All requests that the adapter knows, in one order. The rows that are read stay with the host.
struct Run {
    scenario: Scenario,
    connector: Arc<dyn Connector>,
    host: Option<Host>,
    touched: bool,
}

impl Run {
    async fn all(&mut self, scene: &Scene) -> Result<(), Error> {
        let (cx, connector) = (&scene.cx, Arc::clone(&self.connector));
        connector.authenticate(cx).await?;
        let object = self.scenario.object();
        let catalog = connector.discover(cx, Some(&[object.into()])).await?;
        let spec = catalog.stream(object).expect("what was asked for is there, or an error says why");
        if self.host.is_none() {
            self.host = Some(Host {
                door: self.scenario.door(),
                connector: Arc::clone(&connector),
                cx: cx.clone(),
                stream: StreamSelection::new(Arc::new(spec.clone())),
                state: StreamState::default(),
                bronze: Vec::new(),
            });
            // Dies after the first page; where a job is given up, before it has ended.
            let abandoned = self.scenario == Scenario::Abandoned;
            settled(self.host.as_mut().unwrap().run_until(if abandoned { 1 } else { 3 }).await)?;
            if abandoned {
                scene.org.add_field(object, "Grade__c", FieldType::Text).unwrap();
            }
        }
        if self.scenario == Scenario::Abandoned {
            self.host.as_mut().unwrap().stream = host::discover(&*connector, cx, object).await;
        }
        let host = self.host.as_mut().unwrap();
        settled(host.run().await)?;
        assert!(host.latest().len() >= self.scenario.rows(), "a success with missing rows");
        connector.estimate_cost(cx, &host.stream).await?;
        if !std::mem::replace(&mut self.touched, true) {
            scene.org.advance(MINUTE);
            scene.org.touch(object, 5).unwrap();
            if self.scenario == Scenario::Deletions {
                let gone = scene.org.truth(object).unwrap().into_keys().take(3).collect::<Vec<_>>();
                gone.iter().for_each(|id| scene.org.hard_delete(object, id).unwrap());
                // Who was refused the log asks again after a day.
                scene.org.advance(MINUTE * 60 * 25);
            }
            scene.org.advance(Duration::from_secs(10));
        }
        settled(host.run().await)?;
        // What could not be seen a moment ago can be now.
        scene.org.advance(MINUTE);
        settled(host.run().await)?;
        let whole = host.bronze.clone();
        if self.scenario == Scenario::Deletions {
            let truth = scene.org.truth(object).unwrap();
            let (told, rows): (Vec<_>, Vec<_>) =
                whole.iter().cloned().partition(|row| row.partition.as_str().starts_with("deleted/"));
            let gone = |row: &host::Row| !truth.contains_key(&row.id);
            assert!(told.iter().all(gone) && told.len() == 3, "three were deleted for good: {told:?}");
            host.bronze = rows.into_iter().filter(|row| !gone(row)).collect();
        }
        host.assert_holds(&scene.org);
        host.bronze = whole;
        let catalog = connector.discover(cx, None).await?;
        assert!(catalog.stream(object).is_some(), "a catalog without what is there");
        Ok(())
    }
}

fn settled(mut outcome: host::Outcome) -> Result<(), Error> {
    assert!(outcome.skipped.is_empty(), "{:?}", outcome.skipped);
    match outcome.errors.len() {
        0 => Ok(()),
        1 => Err(outcome.errors.remove(0)),
        _ => panic!("{:?}", outcome.errors),
    }
}

/// What came of trouble at these sites, all in one go: the outcome, or what is wrong besides.
async fn tried(kind: &'static Kind, sites: Vec<Site>, times: Times) -> Result<Outcome, String> {
    let trouble = (kind.trouble)();
    let scenario = sites.first().map_or(Scenario::Pages, |site| site.scenario);
    let scene = Scene::for_scenario(&trouble, scenario).await;
    let rules: Vec<_> = sites.iter().map(|site| (site.name, scene.strike(&trouble, *site, times))).collect();
    let connector = connect_by(scenario.door(), &scene.config, &scene.cx)
        .map_err(|error| format!("not even connected: {error:?}"))?;
    let mut run = Run { scenario, connector, host: None, touched: false };
    let outcome = match Box::pin(run.all(&scene)).await {
        Ok(()) => Outcome::Recovers,
        Err(error) => {
            let said = format!("{error:?} {}", serde_json::to_string(&error).unwrap());
            let secret = &scene.org.credentials().client_secret;
            if said.contains(secret) || said.contains("00D") && said.contains('!') {
                return Err(format!("the error tells the secret: {said}"));
            }
            Outcome::Fails(error.class())
        }
    };
    for (site, rule) in rules {
        if rule.is_some_and(|rule| scene.org.faults().fired_by(rule) == 0) {
            return Err(format!("{outcome:?}, and it never happened: no request came to `{site}`"));
        }
    }
    scene.mend(&trouble);
    run.touched &= !matches!(trouble, Trouble::Vendor(_));
    let is_vendors = matches!(trouble, Trouble::Vendor(_));
    if trouble == Trouble::Name || outcome == Outcome::Recovers && !is_vendors {
        return Ok(outcome);
    }
    // A wait that the vendor asked for is over when it is over, and a credential that was refused is not sent again
    // for a while: who does not want to wait starts anew.
    if matches!(outcome, Outcome::Fails(Class::RateLimited | Class::Auth)) {
        run.connector = connect_by(scenario.door(), &scene.config, &scene.cx).unwrap();
        if let Some(host) = &mut run.host {
            host.connector = Arc::clone(&run.connector);
        }
    }
    match Box::pin(run.all(&scene)).await {
        Ok(()) => Ok(outcome),
        Err(error) => Err(format!("{outcome:?}, and the run after it failed: {error:?}")),
    }
}

/// Goes through the table, and says all that is not as promised.
fn go_through(kinds: &[&'static Kind], sites: &'static [Site], times: Times) {
    let broken: Vec<String> =
        kinds.iter().flat_map(|kind| host::within(at_sites(kind, sites, times))).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

async fn at_sites(kind: &'static Kind, sites: &'static [Site], times: Times) -> Vec<String> {
    let wished = if times == Times::Once { kind.once } else { kind.lasting };
    let expected = |site: &Site| exception(kind, *site, times).unwrap_or(wished);
    // What is recovered from can happen at all sites of one run. Trouble that ends a run needs one for each site.
    let (together, alone): (Vec<Site>, Vec<Site>) =
        sites.iter().partition(|site| expected(site) == Outcome::Recovers);
    if times == Times::Once && tried(kind, together.clone(), times).await == Ok(Outcome::Recovers) {
        return each(kind, alone, times, &expected).await;
    }
    each(kind, [together, alone].concat(), times, &expected).await
}

/// One run for each site. What is not as promised.
async fn each(
    kind: &'static Kind,
    sites: Vec<Site>,
    times: Times,
    expected: &impl Fn(&Site) -> Outcome,
) -> Vec<String> {
    let tries = sites.iter().map(|site| broken_at(kind, *site, times, expected(site)));
    let tried_together = futures_util::future::join_all(tries).await;
    // By a clock twenty times as fast an attempt has a second and a half of the machine's time, and a machine that is busy
    // with others may not give it that. What is not as promised is tried once more, alone.
    let mut broken = Vec::new();
    for (site, found) in sites.iter().zip(tried_together) {
        if found.is_some() {
            broken.extend(broken_at(kind, *site, times, expected(site)).await);
        }
    }
    broken
}

async fn broken_at(kind: &'static Kind, site: Site, times: Times, expected: Outcome) -> Option<String> {
    let got = match tokio::spawn(tried(kind, vec![site], times)).await {
        Ok(got) => got,
        Err(panicked) => Err(panicked.to_string()),
    };
    let broken = format!("{} × {} × {times:?}: expected {expected:?}, got {got:?}", kind.name, site.name);
    // Waits that are asked for over and over end at the pause of the quota or at the deadline, whichever is
    // first, and only the first is told as RateLimited.
    let got = match got {
        Ok(Outcome::Fails(Class::Transient))
            if times == Times::Lasting && expected == Outcome::Fails(Class::RateLimited) =>
        {
            Ok(expected)
        }
        got => got,
    };
    (got != Ok(expected)).then_some(broken)
}

pub(super) fn kinds(wanted: impl Fn(&Trouble) -> bool) -> Vec<&'static Kind> {
    KINDS.iter().filter(|kind| wanted(&(kind.trouble)())).collect()
}

pub(super) fn is_answer(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Answer(_))
}

pub(super) fn is_line(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Line(_))
}

#[test]
fn answers_that_go_wrong_once_cost_a_retry_or_an_error_of_their_class_at_every_site_part_1() {
    go_through(&kinds(is_answer)[..12], SITES, Times::Once);
}

#[test]
fn answers_that_go_wrong_once_cost_a_retry_or_an_error_of_their_class_at_every_site_part_2() {
    go_through(&kinds(is_answer)[12..24], SITES, Times::Once);
}

#[test]
fn answers_that_go_wrong_once_cost_a_retry_or_an_error_of_their_class_at_every_site_part_3() {
    go_through(&kinds(is_answer)[24..], SITES, Times::Once);
}

#[test]
fn answers_that_go_wrong_once_cost_a_bulk_job_no_row_part_1() {
    go_through(&kinds(is_answer)[..16], JOB_SITES, Times::Once);
}

#[test]
fn answers_that_go_wrong_once_cost_a_bulk_job_no_row_part_2() {
    go_through(&kinds(is_answer)[16..], JOB_SITES, Times::Once);
}

#[test]
fn answers_that_go_wrong_once_cost_no_deletion() {
    go_through(&kinds(is_answer), &OTHER_SITES[..3], Times::Once);
}

#[test]
fn answers_that_go_wrong_once_cost_no_part_of_a_wide_object() {
    go_through(&kinds(is_answer), &OTHER_SITES[3..5], Times::Once);
}

#[test]
fn answers_that_go_wrong_once_cost_no_page_that_names_the_next() {
    go_through(&kinds(is_answer), &OTHER_SITES[5..7], Times::Once);
}

#[test]
fn answers_that_go_wrong_once_cost_no_row_of_a_job_that_is_given_up() {
    go_through(&kinds(is_answer), &OTHER_SITES[7..], Times::Once);
}

#[test]
fn answers_that_stay_wrong_end_a_bulk_job_in_an_error_of_their_class() {
    go_through(&kinds(is_answer), &JOB_SITES[..5], Times::Lasting);
}

#[test]
fn connections_that_go_wrong_once_cost_a_bulk_job_no_row() {
    go_through(&kinds(is_line), &JOB_SITES[..4], Times::Once);
    go_through(&kinds(is_line), &JOB_SITES[5..], Times::Once);
}

#[test]
fn answers_that_stay_wrong_end_in_an_error_of_their_class() {
    go_through(&kinds(is_answer), LASTING, Times::Lasting);
}

#[test]
fn connections_that_go_wrong_once_have_the_class_of_their_trouble_at_every_site() {
    go_through(&kinds(is_line), SITES, Times::Once);
}

#[test]
fn connections_that_stay_wrong_have_the_class_of_their_trouble() {
    go_through(&kinds(is_line), LASTING, Times::Lasting);
}

#[test]
fn a_name_that_nobody_knows_and_a_vendor_that_is_off_are_met_by_the_first_request() {
    let rest = kinds(|trouble| !is_answer(trouble) && !is_line(trouble));
    go_through(&rest, FIRST, Times::Lasting);
}
