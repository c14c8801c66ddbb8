// node chat.mjs HOST:PORT PROTO_FOLDER QUESTION [MODE]
// Streams a chat and prints one JSON object: the text, the events by name, and the status the call ended with.
// MODE cancel leaves after the first tokens; bad-field asks for an impossible temperature.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [address, protos, question, mode = 'chat'] = process.argv.slice(2);
const definition = loader.loadSync('modelserve/v1/inference.proto', {
  includeDirs: [protos],
  keepCase: true,
  longs: String,
  enums: String,
  oneofs: true,
});
const { modelserve } = grpc.loadPackageDefinition(definition);
const client = new modelserve.v1.Inference(address, grpc.credentials.createInsecure());
const request = {
  messages: [{ role: 'user', content: question }],
  options: { stop: { max_tokens: 64 }, sampling: { temperature: mode === 'bad-field' ? -1 : 0 } },
};
const seen = { text: '', events: [], tokens: 0, reason: null, status: null, details: null };
const call = client.Chat(request, { deadline: Date.now() + 20_000 });
call.on('data', (message) => {
  if (seen.events.at(-1) !== message.event) {
    seen.events.push(message.event);
  }
  if (message.event === 'tokens') {
    seen.text += message.tokens.text;
    seen.tokens += message.tokens.token_ids.length;
    if (mode === 'cancel') {
      call.cancel();
    }
  }
  if (message.event === 'finished') {
    seen.reason = message.finished.reason;
  }
});
call.on('error', () => {});
call.on('status', (status) => {
  seen.status = grpc.status[status.code];
  seen.details = status.details;
  console.log(JSON.stringify(seen));
  client.close();
});
