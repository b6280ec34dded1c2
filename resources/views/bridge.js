// The view's side of MCP Apps (2026-01-26): JSON-RPC with the host by postMessage.
'use strict';
const host = (() => {
  const waiting = new Map();
  let last = 0;
  let capabilities = {};
  const post = message => window.parent.postMessage({ jsonrpc: '2.0', ...message }, '*');

  function request(method, params) {
    const id = ++last;
    post({ id, method, params });
    return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
  }

  function dress(context = {}) {
    const root = document.documentElement;
    if (context.theme) root.style.colorScheme = context.theme;
    for (const [name, value] of Object.entries(context.styles?.variables ?? {}))
      if (name.startsWith('--') && typeof value === 'string') root.style.setProperty(name, value);
  }

  const heard = {
    'ui/notifications/tool-input': params => view.input?.(params?.arguments ?? {}),
    'ui/notifications/tool-result': params => view.result(params ?? {}),
    'ui/notifications/tool-cancelled': params => view.result({ isError: true, content: [{ type: 'text', text: `Cancelled. ${params?.reason ?? ''}` }] }),
    'ui/notifications/host-context-changed': dress,
  };

  window.addEventListener('message', event => {
    const message = event.data;
    if (event.source !== window.parent || message?.jsonrpc !== '2.0') return;
    if (message.method && message.id !== undefined) {
      // ping and ui/resource-teardown: nothing to save here.
      const known = message.method === 'ping' || message.method === 'ui/resource-teardown';
      post({ id: message.id, ...(known ? { result: {} } : { error: { code: -32601, message: 'Unknown method' } }) });
    } else if (message.method) {
      heard[message.method]?.(message.params);
    } else if (waiting.has(message.id)) {
      const { resolve, reject } = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error) reject(new Error(message.error.message ?? 'refused'));
      else resolve(message.result ?? {});
    }
  });

  let told = '';
  function tellSize() {
    const width = Math.ceil(document.documentElement.scrollWidth);
    const height = Math.ceil(document.body.getBoundingClientRect().height);
    if (told === `${width}x${height}`) return;
    told = `${width}x${height}`;
    post({ method: 'ui/notifications/size-changed', params: { width, height } });
  }

  async function start() {
    const answer = await request('ui/initialize', {
      protocolVersion: '2026-01-26',
      appInfo: { name: 'Power Interpreter', version: '1' },
      appCapabilities: { availableDisplayModes: ['inline', 'fullscreen'] },
    });
    capabilities = answer.hostCapabilities ?? {};
    dress(answer.hostContext);
    post({ method: 'ui/notifications/initialized', params: {} });
    new ResizeObserver(tellSize).observe(document.body);
    tellSize();
  }

  return {
    start,
    canCallTools: () => capabilities.serverTools !== undefined,
    callTool: (name, args) => request('tools/call', { name, arguments: args }),
    openLink: url => request('ui/open-link', { url }).catch(() => {}),
  };
})();

// make('div', {class: 'x', onclick: f}, child, 'text'): text is never read as HTML.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter(child => child !== undefined && child !== null));
  return element;
}

const show = (...elements) => document.getElementById('view').replaceChildren(...elements.flat().filter(Boolean));

// Text in which web addresses can be followed.
function linked(text) {
  const box = make('pre');
  for (const piece of text.split(/(https?:\/\/[^\s"'<>]+)/))
    box.append(/^https?:\/\//.test(piece) ? make('button', { class: 'link', onclick: () => host.openLink(piece) }, piece) : piece);
  return box;
}

function picture(block) {
  if (!/^image\/(png|jpeg|gif|webp)$/.test(block.mimeType ?? '')) return null;
  const image = make('img', { alt: 'Chart', title: 'Click for the full size', src: `data:${block.mimeType};base64,${block.data}` });
  image.addEventListener('click', () => image.classList.toggle('whole'));
  return image;
}

const texts = result => (result.content ?? []).filter(block => block.type === 'text').map(block => block.text);
const pictures = result => (result.content ?? []).filter(block => block.type === 'image').map(picture);
