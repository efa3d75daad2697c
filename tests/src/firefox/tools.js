// Runs in Firefox's own window, with the browser's privileges: what WebDriver BiDi does not
// tell (what workers log, what the browser itself says) or do (stop a worker).
(() => {
  const entries = [];
  const add = (origin, kind, level, text, url) =>
    entries.push({ origin, kind, level, text: String(text), url: String(url ?? '') });

  /** Runs in each process that has pages or workers. */
  const inProcess = () => {
    const WORKERS = 'ServiceWorker';
    const send = (origin, kind, level, text, url) =>
      sendAsyncMessage('dcdn:entry', [origin, kind, level, text, url]);
    const isOurs = (url) => /^(http|blob)/.test(url);

    const system = Cc['@mozilla.org/systemprincipal;1'].createInstance(Ci.nsIPrincipal);
    const calls = Cc['@mozilla.org/consoleAPI-storage;1'].getService(Ci.nsIConsoleAPIStorage);
    calls.addLogEventListener((call) => {
      const { level, innerID, filename, arguments: values } = call.wrappedJSObject ?? call;
      const origin = innerID === WORKERS ? 'Worker' : 'Page';
      const text = Array.from(values, (value) => value?.stack ? `${value}\n${value.stack}` : value);
      if (isOurs(filename)) send(origin, 'Console', level, text.join(' '), filename);
    }, system);

    Services.console.registerListener({
      observe(message) {
        if (!(message instanceof Ci.nsIScriptError) || !isOurs(message.sourceName)) return;
        const { category, flags, innerWindowID, errorMessage, sourceName } = message;
        // Said of any worker whose answer is not read to its end, as when a video seeks. A
        // request that has failed is named between the quotation marks.
        const unnamed = errorMessage.includes('\u2018\u2019');
        if (category === 'Service Worker Interception' && unnamed) return;
        // Workers have no window; their messages carry the largest number instead.
        const origin = innerWindowID && innerWindowID < 2 ** 63 ? 'Page' : 'Worker';
        const kind = category === 'content javascript' ? 'Uncaught' : 'Browser';
        const level = flags & 1 ? 'warning' : flags & 8 ? 'info' : 'error';
        send(origin, kind, level, `${errorMessage} [${category}]`, sourceName);
      },
    });

    addMessageListener('dcdn:ping', () => sendAsyncMessage('dcdn:pong', Services.appinfo.processID));
  };

  const heard = new Set();
  Services.ppmm.addMessageListener('dcdn:entry', ({ data }) => add(...data));
  Services.ppmm.addMessageListener('dcdn:pong', ({ data }) => heard.add(data));
  const source = encodeURIComponent(`(${inProcess})()`);
  Services.ppmm.loadProcessScript(`data:application/javascript,${source}`, true);

  // What a worker's event listeners throw is said here alone, and without its text.
  const system = Services.scriptSecurityManager.getSystemPrincipal();
  const calls = Cc['@mozilla.org/consoleAPI-storage;1'].getService(Ci.nsIConsoleAPIStorage);
  calls.addLogEventListener((call) => {
    const { level, innerID, ID, arguments: values } = call.wrappedJSObject ?? call;
    if (innerID !== 'ServiceWorker' && ID !== 'ServiceWorker') return;
    add('Worker', 'Uncaught', level, Array.from(values).join(' ') || 'an error without a text', '');
  }, system);

  // The console of a page has its failed requests, if one asks for them there.
  const answered = (channel) => {
    channel.QueryInterface(Ci.nsIHttpChannel);
    const { responseStatus, URI, loadInfo } = channel;
    if (responseStatus < 400 || !loadInfo.browsingContextID) return;
    add('Page', 'Network', 'error', `answered with ${responseStatus}`, URI.spec);
  };
  for (const topic of ['http-on-examine-response', 'service-worker-synthesized-response']) {
    Services.obs.addObserver(answered, topic);
  }

  const processes = () =>
    Array.from({ length: Services.ppmm.childCount }, (_, n) => Services.ppmm.getChildAt(n))
      .filter((child) => !child.isInProcess);

  globalThis.dcdnTests = {
    /** Everything logged so far, once each process has answered a question. */
    async entries() {
      heard.clear();
      const asked = new Set(processes().map(({ osPid }) => osPid));
      Services.ppmm.broadcastAsyncMessage('dcdn:ping');
      const open = () => processes().some(({ osPid }) => asked.has(osPid) && !heard.has(osPid));
      while (open()) await new Promise((resolve) => setTimeout(resolve, 5));
      return JSON.stringify(entries);
    },

    /** As with the shift key. */
    reloadPastWorker() {
      const { LOAD_FLAGS_BYPASS_CACHE, LOAD_FLAGS_BYPASS_PROXY } = Ci.nsIWebNavigation;
      gBrowser.reloadWithFlags(LOAD_FLAGS_BYPASS_CACHE | LOAD_FLAGS_BYPASS_PROXY);
      return '';
    },

    downloadInto(folder) {
      const OWN = 2;
      Services.prefs.setIntPref('browser.download.folderList', OWN);
      Services.prefs.setStringPref('browser.download.dir', folder);
      return '';
    },

    async stopWorkers() {
      const manager = Cc['@mozilla.org/serviceworkers/manager;1'].getService(Ci.nsIServiceWorkerManager);
      const all = manager.getAllRegistrations();
      for (let n = 0; n < all.length; n++) {
        const registration = all.queryElementAt(n, Ci.nsIServiceWorkerRegistrationInfo);
        await registration.activeWorker?.terminateWorker();
      }
      return '';
    },
  };
  return '';
})()
