//! A browser with the page open.

use std::os::unix::fs::MetadataExt;

use dtr_lb_tests::{LIMIT, Proxy, eventually};
use serde_json::{Value, json};

use crate::chromedriver::Chromedriver;
use crate::driver_path;
use crate::webdriver::Session;

/// A browser with a proxy's page open; it ends with this value.
pub(crate) struct Browser {
    session: Session,
    _process: Chromedriver,
}

impl Browser {
    /// Opens the page, and waits until it shows something.
    ///
    /// # Panics
    /// When it does not.
    pub(crate) async fn open(proxy: &Proxy) -> Browser {
        let process = Chromedriver::start(&driver_path());
        let mut args = vec!["--headless=new", "--disable-gpu", "--disable-dev-shm-usage"];
        if is_root() {
            // Chromium's sandbox refuses to start for root.
            args.push("--no-sandbox");
        }
        let wanted = json!({
            "browserName": "chrome",
            "unhandledPromptBehavior": "ignore",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": args },
        });
        let session = Session::start(process.port, wanted).await.unwrap();
        let browser = Browser {
            session,
            _process: process,
        };
        let page = format!("http://{}/", proxy.admin_address());
        browser.post("url", json!({ "url": page })).await;
        let is_filled = "return document.title.endsWith(' – dtr-lb')";
        browser.shows("the page", is_filled).await;
        browser
    }

    /// What a script returns.
    ///
    /// # Panics
    /// When it fails.
    pub(crate) async fn script(&self, script: &str) -> Value {
        let script = json!({ "script": script, "args": [] });
        self.post("execute/sync", script).await
    }

    /// Waits until a script returns true.
    ///
    /// # Panics
    /// When it never does.
    pub(crate) async fn shows(&self, what: &str, script: &str) {
        eventually(LIMIT, format!("{what} on the page"), async || {
            match self.script(script).await {
                Value::Bool(true) => Ok(()),
                other => {
                    let text = self.script("return document.body.innerText").await;
                    Err(format!("{other}: {}", text.as_str().unwrap_or_default()))
                }
            }
        })
        .await;
    }

    /// Waits until a replica is shown in a state.
    ///
    /// # Panics
    /// When it is not.
    pub(crate) async fn shows_state(&self, replica: &str, state: &str) {
        let script = format!(
            "const row = [...document.querySelectorAll('#services tbody tr')]
                 .find(row => row.querySelector('th b').textContent === '{replica}');
             return row?.querySelector('.state b').textContent === '{state}'"
        );
        self.shows(&format!("{replica} {state}"), &script).await;
    }

    /// Clicks on what a CSS selector finds first.
    ///
    /// # Panics
    /// When there is no such thing, or something else is over it.
    pub(crate) async fn click(&self, selector: &str) {
        self.takes_a_click(selector).await;
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.post("element", wanted).await;
        let id = found[ELEMENT].as_str().unwrap();
        self.post(&format!("element/{id}/click"), json!({})).await;
    }

    /// Waits until a button is enabled: a click on one whose order is under way is lost, and
    /// the focus comes back to it after that.
    ///
    /// # Panics
    /// When it never is.
    pub(crate) async fn takes_a_click(&self, selector: &str) {
        let takes = format!("return document.querySelector(\"{selector}\")?.disabled !== true");
        self.shows(&format!("{selector} that takes a click"), &takes)
            .await;
    }

    /// Types, into whatever has the focus.
    ///
    /// # Panics
    /// When the browser refuses.
    pub(crate) async fn types(&self, keys: &str) {
        let press = |key: char| {
            ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
        };
        let presses: Vec<Value> = keys.chars().flat_map(press).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": presses });
        self.post("actions", json!({ "actions": [keyboard] })).await;
    }

    /// Presses the tab key until what has the focus is called so.
    ///
    /// # Panics
    /// When nothing is, however often it is pressed.
    pub(crate) async fn tabs_to(&self, label: &str) {
        let mut met = Vec::new();
        for _ in 0..MOST_TABS {
            self.types(TAB).await;
            let script = "return document.activeElement.getAttribute('aria-label') \
                          || document.activeElement.textContent";
            let focused = self.script(script).await;
            if focused == label {
                return;
            }
            met.push(focused);
        }
        panic!("the tab key does not lead to {label:?}, only to {met:?}");
    }

    /// Waits for a question, and answers it; what was asked.
    ///
    /// # Panics
    /// When nothing is asked.
    pub(crate) async fn answers_question(&self, answer: Answer) -> String {
        let look = async || self.session.get("alert/text").await;
        let asked = eventually(LIMIT, "a question", look).await;
        let command = match answer {
            Answer::Yes => "alert/accept",
            Answer::No => "alert/dismiss",
        };
        self.post(command, json!({})).await;
        asked.as_str().unwrap().to_owned()
    }

    /// Has the page a window of this width, in CSS pixels.
    ///
    /// # Panics
    /// When the browser refuses.
    pub(crate) async fn is_wide(&self, width: u32) {
        let size =
            json!({ "width": width, "height": 844, "deviceScaleFactor": 1, "mobile": false });
        self.emulates("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    /// Has the page as who prefers dark colours sees it.
    ///
    /// # Panics
    /// When the browser refuses.
    pub(crate) async fn is_dark(&self) {
        let features = json!([{ "name": "prefers-color-scheme", "value": "dark" }]);
        self.emulates(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        )
        .await;
    }

    /// What the browser has complained about since it was last asked, such as a script's
    /// error or what the page's policy forbids; but not that a proxy does not know `/host`,
    /// which is how the page learns that.
    ///
    /// # Panics
    /// When the browser does not say.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.post("se/log", json!({ "type": "browser" })).await;
        let entries = log.as_array().unwrap().iter();
        let texts = entries.map(|entry| entry["message"].as_str().unwrap().to_owned());
        let is_expected = |text: &String| text.contains("/host ") && text.contains(" 404 ");
        texts.filter(|text| !is_expected(text)).collect()
    }

    /// Wants the browser to have complained about nothing.
    ///
    /// # Panics
    /// When it has.
    pub(crate) async fn has_no_complaint(&self) {
        assert_eq!(self.complaints().await, [""; 0]);
    }

    async fn emulates(&self, command: &str, parameters: Value) {
        let command = json!({ "cmd": command, "params": parameters });
        self.post("goog/cdp/execute", command).await;
    }

    async fn post(&self, command: &str, arguments: Value) -> Value {
        let done = self.session.post(command, arguments).await;
        done.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// What is answered to a question.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Yes,
    No,
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The name that WebDriver has for an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const ESCAPE: &str = "\u{e00c}";
/// More than there are things to stop at.
const MOST_TABS: usize = 40;
