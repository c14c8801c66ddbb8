// node interop.mjs HOST:PORT PROTO_FOLDER MODE
// One way to use the server each, as an application in JavaScript would; prints one JSON object with what the client saw.
//   stream         a chat: its text, its events by name, its end
//   bad-field      an impossible temperature
//   cancel         leaves after the first tokens
//   deadline       asks for more than fits the time it gives
//   refused        no retries: code and pushback of a refusal
//   retry          the library's own retries, which follow the server's pushback
//   health         grpc.health.v1: one check, then a watch until the state changes
//   reflection     the services by name
//   kv-events      the first stored block of the prefix cache
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [address, protos, mode] = process.argv.slice(2);
const credentials = grpc.credentials.createInsecure();
const settings = { includeDirs: [protos], keepCase: true, longs: String, enums: String, oneofs: true, arrays: true };
const deadline = () => Date.now() + 60_000;

function load(file) {
  return grpc.loadPackageDefinition(loader.loadSync(file, settings));
}

// Definitions that every server of that kind has; written here because the packages that carry them are not needed otherwise.
function define(name, text) {
  const protobuf = require('protobufjs');
  const root = protobuf.parse(text, { keepCase: true }).root;
  return grpc.loadPackageDefinition(loader.fromJSON(root.toJSON(), settings))[name];
}

function print(seen) {
  console.log(JSON.stringify(seen));
}

function inference(options) {
  return new (load('modelserve/v1/inference.proto').modelserve.v1.Inference)(address, credentials, options);
}

// Reads a stream to its status; what it saw is what a test compares.
function follow(call, seen, onMessage) {
  return new Promise((resolve) => {
    call.on('data', (message) => {
      if (seen.events.at(-1) !== message.event) {
        seen.events.push(message.event);
      }
      if (message.event === 'tokens') {
        seen.text += message.tokens.text;
        seen.tokens += message.tokens.token_ids.length;
      }
      if (message.event === 'finished') {
        seen.reason = message.finished.reason;
      }
      onMessage?.(message);
    });
    call.on('error', () => {});
    call.on('status', (status) => {
      seen.status = grpc.status[status.code];
      seen.details = status.details;
      seen.pushback = status.metadata.get('grpc-retry-pushback-ms')[0] ?? null;
      seen.hasDetails = status.metadata.get('grpc-status-details-bin').length > 0;
      resolve(seen);
    });
  });
}

function fresh() {
  return { text: '', events: [], tokens: 0, reason: null, status: null, details: null, pushback: null, hasDetails: false };
}

function chat(temperature = 0, maxTokens = 64) {
  return {
    messages: [{ role: 'user', content: 'hello' }],
    options: { stop: { max_tokens: maxTokens }, sampling: { temperature } },
  };
}

const modes = {
  async stream() {
    print(await follow(inference().Chat(chat(), { deadline: deadline() }), fresh()));
  },
  async 'bad-field'() {
    print(await follow(inference().Chat(chat(-1), { deadline: deadline() }), fresh()));
  },
  async cancel() {
    const call = inference().Chat(chat(0, 400), { deadline: deadline() });
    print(await follow(call, fresh(), (message) => message.event === 'tokens' && call.cancel()));
  },
  async deadline() {
    print(await follow(inference().Chat(chat(0, 400), { deadline: Date.now() + 60_000 }), fresh()));
  },
  async refused() {
    print(await follow(inference({ 'grpc.enable_retries': 0 }).Chat(chat(), { deadline: deadline() }), fresh()));
  },
  async retry() {
    const policy = { maxAttempts: 1000, initialBackoff: '60s', maxBackoff: '60s', backoffMultiplier: 1, retryableStatusCodes: ['RESOURCE_EXHAUSTED', 'UNAVAILABLE'] };
    const config = { loadBalancingConfig: [], methodConfig: [{ name: [{ service: 'modelserve.v1.Inference' }], retryPolicy: policy }] };
    const begin = Date.now();
    const options = { 'grpc.service_config': JSON.stringify(config), 'grpc-node.retry_max_attempts_limit': 1000 };
    const seen = await follow(inference(options).Chat(chat(), { deadline: Date.now() + 120_000 }), fresh());
    // The policy's own backoff is a minute, give or take a fifth: an answer before that was due to the server's pushback.
    seen.beforeBackoff = Date.now() - begin < 45_000;
    print(seen);
  },
  async health() {
    const { v1 } = define('grpc', `syntax = "proto3"; package grpc.health.v1;
      message HealthCheckRequest { string service = 1; }
      message HealthCheckResponse { enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; } ServingStatus status = 1; }
      service Health { rpc Check(HealthCheckRequest) returns (HealthCheckResponse); rpc Watch(HealthCheckRequest) returns (stream HealthCheckResponse); }`).health;
    const client = new v1.Health(address, credentials);
    const seen = { states: [] };
    await new Promise((resolve) => client.Check({ service: '' }, { deadline: deadline() }, (error, response) => {
      seen.check = error ? grpc.status[error.code] : response.status;
      resolve();
    }));
    const watch = client.Watch({ service: '' }, { deadline: deadline() });
    await new Promise((resolve) => {
      watch.on('data', (message) => {
        seen.states.push(message.status);
        // The test changes the state when it reads this line.
        process.stderr.write(`${message.status}\n`);
        if (message.status === 'NOT_SERVING') {
          watch.cancel();
        }
      });
      watch.on('error', () => {});
      watch.on('status', resolve);
    });
    print(seen);
  },
  async reflection() {
    const { v1 } = define('grpc', `syntax = "proto3"; package grpc.reflection.v1;
      message ServerReflectionRequest { string host = 1; oneof message_request { string file_containing_symbol = 4; string list_services = 7; } }
      message ServiceResponse { string name = 1; }
      message ListServiceResponse { repeated ServiceResponse service = 1; }
      message FileDescriptorResponse { repeated bytes file_descriptor_proto = 1; }
      message ServerReflectionResponse { oneof message_response { FileDescriptorResponse file_descriptor_response = 4; ListServiceResponse list_services_response = 6; } }
      service ServerReflection { rpc ServerReflectionInfo(stream ServerReflectionRequest) returns (stream ServerReflectionResponse); }`).reflection;
    const call = new v1.ServerReflection(address, credentials).ServerReflectionInfo({ deadline: deadline() });
    const seen = { services: [], files: 0 };
    call.write({ list_services: '' });
    call.write({ file_containing_symbol: 'modelserve.v1.Inference' });
    call.end();
    for await (const message of call) {
      seen.services.push(...(message.list_services_response?.service ?? []).map((service) => service.name));
      seen.files += message.file_descriptor_response?.file_descriptor_proto.length ?? 0;
    }
    print(seen);
  },
  async 'kv-events'() {
    const events = new (load('modelserve/v1/events.proto').modelserve.v1.Events)(address, credentials);
    const call = events.SubscribeKvEvents({ after_sequence: '0' }, { deadline: deadline() });
    const seen = { sequences: [], blockTokens: null, hashBytes: null };
    for await (const batch of call) {
      seen.blockTokens = batch.block_tokens;
      for (const event of batch.events) {
        seen.sequences.push(event.sequence);
        seen.hashBytes ??= event.stored.hash.length;
      }
      if (seen.sequences.length > 0) {
        break;
      }
    }
    print(seen);
  },
};

await modes[mode]();
process.exit(0);
