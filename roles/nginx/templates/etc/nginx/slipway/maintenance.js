// Tells visitors of maintenance that is to come, or going on. Include it in a page:
//   <script src="/.well-known/slipway/maintenance.js" defer></script>
// It loads nothing else than the state beside it, and needs no more than 'self' of a Content-Security-Policy.
(function () {
  'use strict';
  var own = document.currentScript && document.currentScript.src;
  var url = (own || location.origin + '/.well-known/slipway/maintenance.js').replace(/\.js(\?.*)?$/, '');
  var POLL = 60000;
  var KEY = 'slipway-maintenance-closed';
  var STYLE =
    ':host{all:initial;position:fixed;z-index:2147483647;left:0;right:0;bottom:0;padding:12px;pointer-events:none;' +
    'display:flex;justify-content:center;color-scheme:light dark}' +
    '.bar{box-sizing:border-box;pointer-events:auto;display:flex;gap:14px;align-items:flex-start;max-width:46rem;padding:14px 14px 14px 18px;' +
    'border-radius:14px;border:1px solid #d9dfe8;border-left:5px solid #1f5fbf;background:#fff;color:#17202e;' +
    'box-shadow:0 12px 36px -10px rgba(15,22,34,.35);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}' +
    '.text{flex:1;min-width:0;overflow-wrap:anywhere}b{font-weight:650}.message{white-space:pre-line;display:block;color:#566377}' +
    '.left{display:block;color:#566377;font-size:13px;font-variant-numeric:tabular-nums}.left:empty,.message:empty{display:none}' +
    'button{all:unset;box-sizing:border-box;cursor:pointer;width:32px;height:32px;border-radius:8px;text-align:center;font-size:20px;line-height:30px;' +
    'color:#566377}button:hover{background:#eef1f5}button:focus-visible{outline:2px solid #1f5fbf}' +
    '@media(prefers-color-scheme:dark){.bar{background:#171e28;color:#e9edf3;border-color:#303a49;border-left-color:#8ab8ff}' +
    '.message,.left,button{color:#a9b4c4}button:hover{background:#263040}button:focus-visible{outline-color:#8ab8ff}}' +
    '@media print{:host{display:none}}';

  var now = {state: 'off'};
  var skew = 0;
  var shown = '';
  var host, head, message, left;

  function build() {
    host = document.createElement('slipway-maintenance');
    // Of its own, so that neither the page's style nor this one reaches the other.
    var root = host.attachShadow({mode: 'open'});
    var sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    var bar = add(root, 'div', 'bar');
    var text = add(bar, 'div', 'text');
    var said = add(text, 'div', '');
    // Read out when it changes, politely; what counts down beside it is not.
    said.setAttribute('role', 'status');
    head = add(said, 'b', '');
    message = add(said, 'span', 'message');
    message.dir = 'auto';
    left = add(text, 'span', 'left');
    left.setAttribute('aria-hidden', 'true');
    var close = add(bar, 'button', '');
    close.type = 'button';
    close.textContent = '\u00d7';
    close.setAttribute('aria-label', 'Close this notice');
    close.addEventListener('click', function () {
      try { sessionStorage.setItem(KEY, shown); } catch (e) { /* Then it comes back with the next page. */ }
      host.hidden = true;
      host.style.display = 'none';
    });
    document.body.appendChild(host);
  }

  function add(parent, kind, name) {
    var element = document.createElement(kind);
    if (name) element.className = name;
    parent.appendChild(element);
    return element;
  }

  function local(text) {
    var time = new Date(text);
    var far = time.toDateString() !== new Date().toDateString();
    return time.toLocaleString(document.documentElement.lang || undefined, far
      ? {weekday: 'long', month: 'long', day: 'numeric', hour: 'numeric', minute: '2-digit'}
      : {hour: 'numeric', minute: '2-digit'});
  }

  function sentence() {
    if (now.state === 'on') {
      return 'Maintenance is going on.' + (now.overdue ? ' It takes longer than planned.'
        : now.ends ? ' Expected back ' + local(now.ends) + '.' : '');
    }
    return 'Maintenance is planned' + (now.starts ? ' for ' + local(now.starts) : '') +
      (now.ends ? ', until ' + local(now.ends) : '') + '.';
  }

  function countdown() {
    if (!host || now.state === 'off') return;
    var rest = now.state === 'announced' && now.starts ? Date.parse(now.starts) - Date.now() - skew : 0;
    var seconds = Math.floor(rest / 1000);
    // No clock that runs for days.
    if (seconds <= 0 || seconds >= 86400) { left.textContent = ''; return; }
    var parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    left.textContent = 'Begins in ' + (parts[0] ? parts[0] + ':' + two(parts[1]) : parts[1]) + ':' + two(parts[2]);
  }

  function two(number) { return number < 10 ? '0' + number : String(number); }

  function closed(what) {
    try { return sessionStorage.getItem(KEY) === what; } catch (e) { return false; }
  }

  function show() {
    var what = now.state === 'off' ? '' : JSON.stringify([now.state, now.message, now.starts, now.ends]);
    if (!what || closed(what)) {
      if (host) { host.remove(); host = null; }
      shown = what;
      return;
    }
    if (!host) {
      build();
      // Screen readers read what changes, not what comes with the element.
      setTimeout(show, 100);
      return;
    }
    // Only what is new is read out again.
    var text = sentence();
    if (head.textContent !== text) head.textContent = text;
    if (message.textContent !== now.message) message.textContent = now.message;
    shown = what;
    countdown();
  }

  function poll() {
    fetch(url, {cache: 'no-store'}).then(function (answer) {
      // The server's clock counts, not the visitor's.
      var date = Date.parse(answer.headers.get('Date') || '');
      if (date) skew = date - Date.now();
      return answer.ok ? answer.json() : now;
    }).then(function (found) {
      now = found;
      show();
    }).catch(function () { /* The next time, perhaps. */ });
  }

  function start() {
    poll();
    setInterval(poll, POLL);
    setInterval(countdown, 1000);
  }

  if (document.body) start();
  else document.addEventListener('DOMContentLoaded', start);
}());
