'use strict';

const byId = (id) => document.getElementById(id);

function line(list, text, from) {
  const item = document.createElement('li');
  const origin = document.createElement('small');
  item.textContent = text;
  origin.textContent = from;
  item.append(origin);
  list.prepend(item);
}

async function call(path, body) {
  const options = body ? { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) } : {};
  const response = await fetch(path, options);
  byId('answered').textContent = `${response.headers.get('X-Instance')} (${response.status})`;
  const json = await response.json();
  if (!response.ok) throw new Error(json.error || response.statusText);
  return json;
}

async function refresh() {
  const { notes } = await call('/api/notes');
  byId('notes').replaceChildren();
  for (const note of notes.reverse()) line(byId('notes'), note.body, `#${note.id} written by ${note.instance}`);
  const mail = await call('/api/mail');
  byId('mail').textContent = `${mail.processed} sent`;
}

function onSubmit(id, action) {
  byId(id).addEventListener('submit', async (event) => {
    event.preventDefault();
    const form = event.target;
    try {
      await action(Object.fromEntries(new FormData(form)));
      if (id !== 'sign') form.reset();
    } catch (error) {
      byId('answered').textContent = error.message;
    }
  });
}

let socket;
let wait = 500;

function connect() {
  socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
  socket.addEventListener('open', () => {
    wait = 500;
    socket.send(JSON.stringify({ type: 'join', room: 'lobby' }));
  });
  socket.addEventListener('message', (event) => {
    const message = JSON.parse(event.data);
    if (message.type === 'welcome') byId('socket').textContent = `${message.instance} (${message.release})`;
    if (message.type === 'message') line(byId('messages'), message.text, `${message.from} through ${message.instance}`);
    if (message.type === 'error') line(byId('messages'), message.reason, 'error');
  });
  socket.addEventListener('close', () => {
    byId('socket').textContent = 'reconnecting…';
    // With a random part, so that the clients of a stopped instance do not all come back at once.
    setTimeout(connect, wait * (0.5 + Math.random()));
    wait = Math.min(wait * 2, 10000);
  });
}

onSubmit('note', async ({ text }) => {
  await call('/api/notes', { text });
  await refresh();
});
onSubmit('sign', async ({ user }) => {
  await call('/api/session', { user });
  socket.close();
});
onSubmit('chat', async ({ text }) => socket.send(JSON.stringify({ type: 'message', room: 'lobby', text })));

connect();
refresh().catch((error) => {
  byId('answered').textContent = error.message;
});
