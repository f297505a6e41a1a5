//! What a person does on the page, each written once and run on Envoy and on the host.

use dtr_lb_tests::{Healthy, Ping, Replica, Standin, Unhealthy, World};
use serde_json::{Value, json};

use crate::browser::{Answer, Browser, ENTER, ESCAPE};

pub(crate) async fn a_few_replicas_have_cards_and_are_drained_by_a_click(world: &World) {
    let (first, second, _third) = (
        world.replica(Replica::healthy()).await,
        world.replica(Replica::healthy()).await,
        world.replica(Replica::healthy()).await,
    );
    let proxy = world.proxy().await;
    proxy.sees(&second, Healthy).await;
    let browser = Browser::open(&proxy).await;
    for name in ["r1", "r2", "r3"] {
        browser.shows_state(name, "healthy").await;
    }
    let cards = "return document.querySelectorAll('#services .cards tbody tr').length";
    assert_eq!(browser.script(cards).await, 3);
    assert_eq!(browser.script(SEARCH_IS_SHOWN).await, false, "for three");

    browser.click("button[aria-label='drain r2']").await;
    proxy.is_in_state(&second, "drain").await;
    browser.shows_state("r2", "drain").await;
    let pressed = "return document.querySelector('[aria-label=\"drain r2\"]').ariaPressed";
    assert_eq!(browser.script(pressed).await, "true");
    let event = "return document.querySelector('#events li').textContent
                     .includes('replica \"r2\": drain, by order of the operator')";
    browser.shows("the order among the events", event).await;
    let live = "return document.querySelector('#live').textContent.includes('r2')";
    browser.shows("the order for a screen reader", live).await;

    // Without a mouse.
    browser.takes_a_click("button[aria-label='drain r2']").await;
    browser.click("h1").await;
    browser.tabs_to("drain r1").await;
    browser.types(ENTER).await;
    proxy.is_in_state(&first, "drain").await;
    browser.shows_state("r1", "drain").await;
    let kept = "return document.activeElement.getAttribute('aria-label') === 'drain r1'";
    browser.shows("the focus where it was", kept).await;
    browser.has_no_complaint().await;
}

pub(crate) async fn the_last_replica_is_taken_out_only_after_a_question(world: &World) {
    let last = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&last, Healthy).await;
    let browser = Browser::open(&proxy).await;
    browser.shows_state("r1", "healthy").await;
    for (answer, order) in [(Answer::No, "ready"), (Answer::Yes, "maintenance")] {
        browser.click("button[aria-label='maintenance r1']").await;
        let asked = browser.answers_question(answer).await;
        assert!(
            asked.starts_with("r1 is the last usable replica on port 443:"),
            "{asked}"
        );
        let pressed = format!(
            "return document.querySelector('[aria-label=\"{order} r1\"]').ariaPressed === 'true'"
        );
        browser.shows(order, &pressed).await;
        let status = proxy.status_of(&last).await.unwrap();
        assert_eq!(status["order"], order, "{answer:?}");
    }
    browser.click("button[aria-label='ready r1']").await;
    proxy.sees(&last, Healthy).await;
    browser.shows_state("r1", "healthy").await;
    browser.has_no_complaint().await;
}

pub(crate) async fn forty_replicas_are_searched_and_sorted_in_a_table(world: &World) {
    let replicas = forty(world, &Ping::fails("notary: no key")).await;
    let proxy = world.proxy().await;
    proxy.sees(&replicas[16], Unhealthy).await;
    let browser = Browser::open(&proxy).await;
    browser.is_wide(1280).await;
    browser.shows_state("r17", "unhealthy").await;
    let table = "return document.querySelectorAll('#services .wide tbody tr').length === 40";
    browser.shows("a table", table).await;
    // A replica without enough answers yet would stand between the two states.
    let settled = "return [...document.querySelectorAll('#services .state b')]
                       .filter(state => state.textContent === 'healthy').length === 39";
    browser.shows("39 healthy replicas", settled).await;
    fits(&browser).await;
    assert_eq!(names(&browser).await.len(), 40);

    // The key that leads to the search.
    browser.types("/").await;
    browser.types("notary").await;
    assert_eq!(names(&browser).await, ["r17"]);
    let found = "return document.querySelector('#found').textContent";
    assert_eq!(browser.script(found).await, "1 of 40 replicas");
    browser.types(ESCAPE).await;
    assert_eq!(names(&browser).await.len(), 40);

    let sorted = "return [...document.querySelectorAll('#services [aria-sort]')]
                      .map(head => head.className + ' ' + head.ariaSort)";
    let by_state = "#services th.state button";
    browser.click(by_state).await;
    assert_eq!(browser.script(sorted).await, json!(["state ascending"]));
    assert_eq!(names(&browser).await[..2], ["r17", "r1"]);
    browser.click(by_state).await;
    assert_eq!(browser.script(sorted).await, json!(["state descending"]));
    assert_eq!(names(&browser).await[39], "r17");
    browser.click(by_state).await;
    assert_eq!(browser.script(sorted).await, json!([]), "as configured");
    assert_eq!(names(&browser).await[..2], ["r1", "r2"]);
    let by_name = "#services th.name button";
    browser.click(by_name).await;
    browser.click(by_name).await;
    assert_eq!(names(&browser).await[..2], ["r40", "r39"], "not r9 first");
    browser.has_no_complaint().await;
}

pub(crate) async fn a_balancer_that_is_gone_looks_stale_and_nothing_healthy(world: &World) {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;
    let browser = Browser::open(&proxy).await;
    browser.shows_state("r1", "healthy").await;
    let live = "return document.querySelector('#fresh').textContent === 'live'
                    && document.title.startsWith('dtr.example.com')";
    browser.shows("that it is live", live).await;

    drop(proxy);

    browser.shows_state("r1", "was healthy").await;
    let stale = "return /^STALE: last answer \\d+ s ago$/.test(document.querySelector('#fresh').textContent)
                     && document.title.startsWith('? ')
                     && !document.querySelector('#notice').hidden";
    browser.shows("that it is stale", stale).await;
    let colours = "const colour = node => getComputedStyle(document.querySelector(node)).color;
                   return [colour('.state b'), colour('#health')].map(it => it === colour('#facts'))";
    assert_eq!(
        browser.script(colours).await,
        json!([true, true]),
        "all is grey"
    );
    browser.is_wide(390).await;
    fits(&browser).await;
    // The browser says that it could not load /status, and nothing else.
    let complaints = browser.complaints().await;
    let is_other = |text: &&String| !text.contains("net::ERR_");
    assert_eq!(complaints.iter().find(is_other), None);
}

/// Of the host alone: an Envoy's filter does not know that it drains.
pub(crate) async fn a_balancer_that_is_about_to_end_says_so(world: &World) {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;
    let browser = Browser::open(&proxy).await;
    browser.shows_state("r1", "healthy").await;
    let alerts = "const notice = document.querySelector('#notice');
                  return notice.checkVisibility() ? notice.textContent : ''";
    assert_eq!(browser.script(alerts).await, "");

    proxy.announce_drain();

    let announced = "return document.querySelector('#notice').textContent
                         .startsWith('A drain is announced: ')
                         && document.title.startsWith('! ')";
    browser.shows("that a drain is announced", announced).await;
    browser.has_no_complaint().await;
}

pub(crate) async fn all_that_is_down_is_one_sentence(world: &World) {
    let replicas = forty(world, &Ping::healthy()).await;
    for replica in &replicas {
        replica.now_pings(Ping::fails("garant: no answer"));
    }
    let proxy = world.proxy().await;
    let browser = Browser::open(&proxy).await;
    let alerts = "const alerts = [...document.querySelectorAll('[role=alert]')]
                      .filter(alert => alert.checkVisibility()).map(alert => alert.textContent);";
    let sentence = "No replica is left for dtr.example.com on port 443: 40 unhealthy (status); \
                    new clients are refused.";
    let script = format!("{alerts} return alerts.join('|') === '{sentence}'");
    browser.shows(sentence, &script).await;
    browser.has_no_complaint().await;
}

pub(crate) async fn a_replicas_text_is_never_markup(world: &World) {
    let hostile = "</script><img src=x onerror=alert(1)><b id=forged>notary</b>";
    let sick = world.replica(Replica::pings(Ping::fails(hostile))).await;
    let proxy = world.proxy().await;
    proxy.sees(&sick, Unhealthy).await;
    let order = r#"{"state":"drain","comment":"<b id=forged>disk</b>"}"#;
    let ordered = proxy.put_replica("r1", &[], order).await;
    assert_eq!(ordered.status, 200, "{}", ordered.text());
    let browser = Browser::open(&proxy).await;
    let is_shown = format!(
        "const text = document.querySelector('.reason .why').textContent;
         return text.includes('{}') && text.includes('<b id=forged>disk</b>')",
        hostile.replace("</script>", "<\\/script>")
    );
    browser.shows("both texts", &is_shown).await;
    let forged = "return document.querySelectorAll('#forged, img').length";
    assert_eq!(browser.script(forged).await, 0);
    browser.has_no_complaint().await;
}

pub(crate) async fn a_phone_shows_everything_without_scrolling_sideways(world: &World) {
    let long = "a-name-of-a-replica-without-a-blank-that-is-as-long-as-may-be-x";
    let wide = Replica::pings(Ping::fails(&"w".repeat(300)));
    let _wide = world.replica(wide.with("name", long)).await;
    let replicas = forty(world, &Ping::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&replicas[38], Healthy).await;
    let browser = Browser::open(&proxy).await;
    browser.is_dark().await;
    browser.is_wide(390).await;
    let cards = "return document.querySelectorAll('#services .cards tbody tr').length === 41";
    browser.shows("cards", cards).await;
    browser.shows_state(long, "unhealthy").await;
    fits(&browser).await;
    // And its buttons can be reached there.
    browser.click("button[aria-label='drain r40']").await;
    proxy.is_in_state(&replicas[38], "drain").await;
    browser.shows_state("r40", "drain").await;
    browser.has_no_complaint().await;
}

/// Starts replicas until there are about forty; the seventeenth answers its probes so.
async fn forty(world: &World, ping: &Ping) -> Vec<Standin> {
    let mut replicas = Vec::new();
    for place in 0..40 {
        let replica = match place {
            16 => Replica::pings(ping.clone()),
            _ => Replica::healthy(),
        };
        replicas.push(world.replica(replica).await);
    }
    replicas
}

/// The names of the replicas that are shown, from top to bottom.
async fn names(browser: &Browser) -> Vec<String> {
    let script = "return [...document.querySelectorAll('#services tbody tr')]
                      .filter(row => !row.hidden).map(row => row.querySelector('th b').textContent)";
    let names: Value = browser.script(script).await;
    serde_json::from_value(names).unwrap()
}

/// Wants nothing to be beyond the window's edge.
async fn fits(browser: &Browser) {
    let beyond = "const edge = document.documentElement.clientWidth;
                  return [...document.querySelectorAll('body *')]
                      .filter(it => it.checkVisibility() && it.getBoundingClientRect().right > edge)
                      .map(it => it.outerHTML.slice(0, 200))";
    assert_eq!(browser.script(beyond).await, json!([]), "beyond the edge");
    let width =
        "return document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(browser.script(width).await, true);
}

const SEARCH_IS_SHOWN: &str = "return document.querySelector('#search').checkVisibility()";
