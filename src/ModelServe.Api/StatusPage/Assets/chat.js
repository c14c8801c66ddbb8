// A conversation with one of the models over /v1/chat/completions, as any client of the OpenAI dialect has it.

const byId = id => document.getElementById(id);

/** The lines that server-sent events carry as data, as they come. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const lines = rest.split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('data:')) yield line.slice(5).trim();
    }
  }
}

/** The message of an error body, or the status when it has none. */
async function problem(response) {
  try {
    const body = await response.json();
    return body.error?.message ?? `The server answered ${response.status}.`;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

/** The chat box. It asks the caller for the headers of each request, so that a key never has to be stored here. */
export class Chat {
  #turns = [];
  #running = null;
  #headers;

  constructor(headers) {
    this.#headers = headers;
    byId('chat-form').addEventListener('submit', event => { event.preventDefault(); this.#submit(); });
    byId('chat-input').addEventListener('keydown', event => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.#submit(); }
    });
    document.addEventListener('keydown', event => { if (event.key === 'Escape') this.#running?.abort(); });
    byId('chat-clear').addEventListener('click', () => this.#clear());
  }

  /** Offers these models, keeping the choice. */
  offer(names) {
    const select = byId('chat-model');
    if ([...select.options].map(option => option.value).join('\n') === names.join('\n')) return;
    const chosen = select.value;
    select.replaceChildren(...names.map(name => new Option(name, name)));
    if (names.includes(chosen)) select.value = chosen;
  }

  #clear() {
    this.#running?.abort();
    this.#turns = [];
    byId('chat-log').replaceChildren(byId('chat-empty') ?? this.#emptyNote());
    byId('chat-input').focus();
  }

  #emptyNote() {
    const note = document.createElement('p');
    note.id = 'chat-empty';
    note.className = 'empty';
    note.textContent = 'Ask the model something. The conversation stays in this page.';
    return note;
  }

  #bubble(role, text) {
    byId('chat-empty')?.remove();
    const turn = document.createElement('div');
    turn.className = `turn ${role}`;
    const content = document.createElement('span');
    content.textContent = text;
    turn.append(content);
    byId('chat-log').append(turn);
    this.#follow(true);
    return turn;
  }

  #follow(always) {
    const log = byId('chat-log');
    if (always || log.scrollHeight - log.scrollTop - log.clientHeight < 80) log.scrollTop = log.scrollHeight;
  }

  #submit() {
    if (this.#running) { this.#running.abort(); return; }
    const input = byId('chat-input');
    const text = input.value.trim();
    if (text === '') return;
    input.value = '';
    this.#bubble('user', text);
    this.#turns.push({ role: 'user', content: text });
    void this.#answer();
  }

  #request() {
    const system = byId('chat-system').value.trim();
    const temperature = byId('chat-temperature').valueAsNumber;
    const most = byId('chat-max-tokens').valueAsNumber;
    return {
      model: byId('chat-model').value,
      messages: system === '' ? this.#turns : [{ role: 'system', content: system }, ...this.#turns],
      stream: true,
      stream_options: { include_usage: true },
      ...(Number.isFinite(temperature) && { temperature }),
      ...(Number.isFinite(most) && { max_tokens: most }),
    };
  }

  async #answer() {
    const turn = this.#bubble('assistant', '');
    const content = turn.firstChild;
    turn.classList.add('waiting');
    this.#running = new AbortController();
    byId('chat-send').textContent = 'Stop';
    const start = performance.now();
    const seen = { text: '', first: null, last: null, usage: null, reason: null };
    try {
      const response = await fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...this.#headers() },
        body: JSON.stringify(this.#request()),
        signal: this.#running.signal,
      });
      if (!response.ok) throw new Error(await problem(response));
      for await (const data of events(response.body)) {
        if (data === '[DONE]') break;
        this.#take(JSON.parse(data), seen);
        content.textContent = seen.text;
        this.#follow(false);
      }
      this.#note(turn, seen, start);
    } catch (error) {
      const stopped = error.name === 'AbortError';
      if (!stopped) turn.classList.add('error');
      content.textContent = stopped ? seen.text : [seen.text, error.message].filter(Boolean).join('\n\n');
      if (stopped) this.#note(turn, { ...seen, reason: 'stopped' }, start);
    } finally {
      turn.classList.remove('waiting');
      if (seen.text !== '') this.#turns.push({ role: 'assistant', content: seen.text });
      this.#running = null;
      byId('chat-send').textContent = 'Send';
      this.#follow(false);
    }
  }

  #take(chunk, seen) {
    if (chunk.error) throw new Error(chunk.error.message ?? 'The answer broke off.');
    const choice = chunk.choices?.[0];
    const text = choice?.delta?.content ?? '';
    if (text !== '') {
      seen.last = performance.now();
      seen.first ??= seen.last;
      seen.text += text;
    }
    seen.reason = choice?.finish_reason ?? seen.reason;
    seen.usage = chunk.usage ?? seen.usage;
  }

  #note(turn, seen, start) {
    const parts = [];
    if (seen.usage) parts.push(`${seen.usage.completion_tokens} tokens`);
    if (seen.first !== null) parts.push(`first after ${Math.round(seen.first - start)} ms`);
    if (seen.usage && seen.last > seen.first) {
      parts.push(`${Math.round((seen.usage.completion_tokens - 1) / ((seen.last - seen.first) / 1000)).toLocaleString('en')} tokens/s`);
    }
    if (seen.reason && seen.reason !== 'stop') parts.push(seen.reason);
    const note = document.createElement('span');
    note.className = 'turn-note';
    note.textContent = parts.join(' · ');
    turn.append(note);
  }
}
