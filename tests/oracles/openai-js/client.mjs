// node client.mjs ADDRESS MODE [MILLISECONDS]: does one thing as its users would, and prints what it saw as one JSON object.
import OpenAI from 'openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, jsonSchema, streamText, tool } from 'ai';

const [, , address, mode, patience = '500'] = process.argv;
let calls = 0;
let onCall = () => {};
const counting = (...given) => { calls++; onCall(); return fetch(...given); };
const openai = (options = {}) => new OpenAI({ apiKey: 'none', baseURL: `${address}/v1`, fetch: counting, maxRetries: 0, ...options });
const sdk = () => createOpenAICompatible({ name: 'modelserve', baseURL: `${address}/v1`, fetch: counting, includeUsage: true });
const messages = [{ role: 'user', content: 'hello' }];
const weather = {
  name: 'weather',
  description: 'the weather of a city',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
};

const modes = {
  async stream() {
    const seen = { text: '', reason: null, usage: null };
    const stream = await openai().chat.completions.create({
      model: 'fake', messages, max_completion_tokens: 64, stream: true, stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      seen.text += chunk.choices[0]?.delta?.content ?? '';
      seen.reason = chunk.choices[0]?.finish_reason ?? seen.reason;
      seen.usage = chunk.usage ?? seen.usage;
    }
    return seen;
  },
  async whole() {
    const answer = await openai().chat.completions.create({ model: 'fake', messages, max_tokens: 64, logprobs: true, top_logprobs: 1 });
    const models = await openai().models.list();
    return { text: answer.choices[0].message.content, logprobs: answer.choices[0].logprobs.content.length, models: models.data.map(model => model.id) };
  },
  async scored() {
    const answer = await openai().completions.create({ model: 'fake', prompt: 'hé\n', echo: true, logprobs: 1, max_tokens: 0 });
    let text = '';
    for await (const chunk of await openai().completions.create({ model: 'fake', prompt: 'hé\n', echo: true, logprobs: 1, max_tokens: 2, stream: true })) {
      text += chunk.choices[0].text;
    }
    return { text: answer.choices[0].text, streamed: text, logprobs: answer.choices[0].logprobs, usage: answer.usage };
  },
  async tools() {
    const answer = await openai().chat.completions.stream({
      model: 'fake', messages, max_tokens: 200, tools: [{ type: 'function', function: weather }],
    }).finalChatCompletion();
    return { calls: answer.choices[0].message.tool_calls, reason: answer.choices[0].finish_reason };
  },
  async required() {
    const strict = { ...weather, strict: true, parameters: { ...weather.parameters, properties: { city: { type: 'string', enum: ['Bonn', 'Ulm'] } } } };
    const create = given => openai().chat.completions.create({ model: 'fake', messages, max_tokens: 400, tools: [{ type: 'function', function: strict }], parallel_tool_calls: false, ...given });
    const required = await create({ tool_choice: 'required' });
    const named = await create({ tool_choice: { type: 'function', function: { name: 'weather' } } });
    const streamed = await openai().chat.completions.stream({
      model: 'fake', messages, max_tokens: 400, tools: [{ type: 'function', function: strict }], parallel_tool_calls: false,
      tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'weather' } }] } },
    }).finalChatCompletion();
    return [required, named, streamed].map(answer => ({
      arguments: JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments), calls: answer.choices[0].message.tool_calls.length, reason: answer.choices[0].finish_reason,
    }));
  },
  async 'sdk-required'() {
    const result = await generateText({
      model: sdk()('fake'), messages, maxOutputTokens: 400, maxRetries: 0, toolChoice: 'required',
      tools: { weather: tool({ description: weather.description, inputSchema: jsonSchema({ ...weather.parameters, properties: { city: { type: 'string', enum: ['Bonn', 'Ulm'] } } }) }) },
    });
    return { calls: result.toolCalls.map(call => call.input.city), reason: result.finishReason };
  },
  async cancel() {
    const stream = await openai().chat.completions.create({ model: 'fake', messages, max_tokens: 400, stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0].delta.content) break;
    }
    return { cancelled: true };
  },
  async timeout() {
    return refused(() => openai({ timeout: Number(patience) }).chat.completions.create({ model: 'fake', messages, max_tokens: 400 }));
  },
  async 'bad-field'() {
    return refused(() => openai({ maxRetries: 2 }).chat.completions.create({ model: 'fake', messages, temperature: -1 }));
  },
  async 'no-model'() {
    return refused(() => openai({ maxRetries: 2 }).chat.completions.create({ model: 'none', messages }));
  },
  async overload() {
    const start = performance.now();
    const seen = await refused(() => openai({ maxRetries: 1 }).chat.completions.create({ model: 'fake', messages }));
    return { ...seen, seconds: (performance.now() - start) / 1000 };
  },
  async retry() {
    const answer = await openai({ maxRetries: 1000 }).chat.completions.create({ model: 'fake', messages, max_tokens: 64 });
    return { text: answer.choices[0].message.content, calls };
  },
  async failure() {
    return refused(async () => {
      const stream = await openai().chat.completions.create({ model: 'fake', messages, max_tokens: 64, stream: true });
      for await (const chunk of stream) void chunk;
    });
  },
  async 'sdk-stream'() {
    const result = streamText({ model: sdk()('fake'), messages, maxOutputTokens: 64, maxRetries: 0 });
    let text = '';
    for await (const piece of result.textStream) text += piece;
    return { text, reason: await result.finishReason, usage: await result.usage };
  },
  async 'sdk-tools'() {
    const result = await generateText({
      model: sdk()('fake'), messages, maxOutputTokens: 200, maxRetries: 0,
      tools: { weather: tool({ description: weather.description, inputSchema: jsonSchema(weather.parameters) }) },
    });
    return { calls: result.toolCalls.map(call => ({ name: call.toolName, input: call.input })), reasoning: result.reasoningText, reason: result.finishReason };
  },
  async 'sdk-cancel'() {
    const abort = new AbortController();
    const result = streamText({ model: sdk()('fake'), messages, maxOutputTokens: 400, maxRetries: 0, abortSignal: abort.signal });
    for await (const part of result.fullStream) {
      if (part.type === 'text-delta') abort.abort();
      if (part.type === 'abort') return { cancelled: true };
    }
    return { cancelled: abort.signal.aborted };
  },
  async 'sdk-timeout'() {
    try {
      // Counted from the moment at which the request leaves, as the other library counts.
      const abort = new AbortController();
      onCall = () => setTimeout(() => abort.abort(new DOMException('the time is over', 'TimeoutError')), Number(patience));
      await generateText({ model: sdk()('fake'), messages, maxOutputTokens: 400, maxRetries: 0, abortSignal: abort.signal });
      return { error: null, calls };
    } catch (error) {
      return { error: error.name, calls };
    }
  },
  async 'sdk-retry'() {
    const result = await generateText({ model: sdk()('fake'), messages, maxOutputTokens: 64, maxRetries: 1000 });
    return { text: result.text, calls };
  },
  async 'sdk-refused'() {
    try {
      await generateText({ model: sdk()('fake'), messages, temperature: -1, maxRetries: 2 });
      return { error: null, calls };
    } catch (error) {
      return { error: APICallError.isInstance(error) ? 'APICallError' : error.name, status: error.statusCode, message: error.message, calls };
    }
  },
};

async function refused(act) {
  try {
    await act();
    return { error: null, calls };
  } catch (error) {
    return { error: error.constructor.name, status: error.status, param: error.param, code: error.code, message: error.message, calls };
  }
}

console.log(JSON.stringify(await modes[mode]()));
