// Clients that do not read every way to say that a stream broke: what each makes of one, as JSON on standard output.
// node broken_streams.mjs <address> <model>
import { GoogleGenAI } from "@google/genai";
import { GoogleGenerativeAI } from "@google/generative-ai";
import { ChatOpenAI } from "@langchain/openai";

const [url, model] = process.argv.slice(2);
const key = "the-callers-own-key";
const question = "nonce:fig one two three";
const found = {};

// What a stream says until it ends, and whether the program is told that it broke.
async function hear(name, open) {
  let text = "";
  try {
    for await (const piece of await open()) text += piece ?? "";
    found[name] = { text, error: null };
  } catch (error) {
    found[name] = { text, error: String(error?.message ?? error) };
  }
}

async function* texts(stream, read) {
  for await (const chunk of stream) yield read(chunk);
}

for (const useResponsesApi of [false, true]) {
  const chat = new ChatOpenAI({ model, apiKey: key, useResponsesApi, maxRetries: 0, configuration: { baseURL: `${url}/v1` } });
  await hear(useResponsesApi ? "langchainResponses" : "langchainChat", async () =>
    texts(await chat.stream(question), (chunk) => chunk.text),
  );
}

const genai = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: url } });
await hear("genai", async () =>
  texts(await genai.models.generateContentStream({ model, contents: question }), (chunk) => chunk.text),
);

const older = new GoogleGenerativeAI(key).getGenerativeModel({ model }, { baseUrl: url });
await hear("generativeAi", async () => {
  const { stream, response } = await older.generateContentStream(question);
  // The same failure, told a second time.
  response.catch(() => {});
  return texts(stream, (chunk) => chunk.text());
});

console.log(JSON.stringify(found));
