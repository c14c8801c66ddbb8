// node status-page.mjs ADDRESS CHROMIUM FOLDER: visits the status page and prints what happened as JSON.
import { chromium } from 'playwright-core';

const [address, executablePath, folder] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const seen = { errors: [], hosts: new Set() };

/** A page whose requests and errors are noted. */
async function open(options) {
  const context = await browser.newContext({ viewport: { width: 1366, height: 900 }, ...options });
  const page = await context.newPage();
  page.on('pageerror', error => seen.errors.push(String(error)));
  page.on('console', message => { if (message.type() === 'error') seen.errors.push(message.text()); });
  page.on('request', request => seen.hosts.add(new URL(request.url()).host));
  return page;
}

/** Answers a chat as the OpenAI dialect streams one. */
async function answerChats(page, asked) {
  await page.route('**/v1/chat/completions', async route => {
    asked.push(route.request().postDataJSON());
    const chunk = value => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 0, model: 'fake', ...value })}\n\n`;
    await route.fulfill({
      contentType: 'text/event-stream',
      body: chunk({ choices: [{ index: 0, delta: { role: 'assistant', content: '' } }] })
        + ': heartbeat\n\n'
        + chunk({ choices: [{ index: 0, delta: { content: 'Eighty-' } }] })
        + chunk({ choices: [{ index: 0, delta: { content: 'five <b>exactly</b>' } }] })
        + chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })
        + chunk({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 } })
        + 'data: [DONE]\n\n',
    });
  });
}

const result = {};
try {
  // Light, by keyboard alone.
  const page = await open({ colorScheme: 'light' });
  const asked = [];
  await answerChats(page, asked);
  await page.goto(address);
  await page.locator('.model').first().waitFor();
  await page.keyboard.press('Tab');
  result.firstFocus = await page.evaluate(() => document.activeElement.className);
  await page.keyboard.press('Enter');
  await page.locator('#chat-input').focus();
  await page.keyboard.type('What is 27 + 58?');
  await page.keyboard.press('Enter');
  await page.locator('.turn-note').waitFor();
  result.answer = await page.locator('.turn.assistant span').first().textContent();
  result.injected = await page.locator('.turn b').count();
  result.note = await page.locator('.turn-note').textContent();
  result.asked = asked[0];
  result.health = await page.locator('#health').textContent();
  result.models = await page.locator('.model-name').allTextContents();
  await page.waitForFunction(() => Number(document.getElementById('request-count').textContent) > 0);
  result.requests = await page.locator('#requests tr').count();
  await page.waitForFunction(() => (document.querySelector('#tile-output path.line')?.getAttribute('d') ?? '').split('L').length > 4);
  result.output = await page.locator('#tile-output [data-value]').textContent();
  result.unnamed = await page.evaluate(() => [...document.querySelectorAll('button, input, select, textarea')]
    .filter(control => !control.labels?.length && !control.textContent.trim() && !control.getAttribute('aria-label')).length);
  await page.screenshot({ path: `${folder}/light.png` });
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.waitForFunction(() => document.documentElement.dataset.theme === 'dark');
  await page.screenshot({ path: `${folder}/dark.png` });
  await page.locator('#theme-button').click();
  result.themeAfterClick = await page.evaluate(() => document.documentElement.dataset.theme);
  result.stored = await page.evaluate(() => localStorage.length + sessionStorage.length + document.cookie.length);

  // A phone.
  await page.setViewportSize({ width: 390, height: 844 });
  result.phoneOverflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await page.screenshot({ path: `${folder}/phone.png`, fullPage: true });

  // A server with keys.
  const guarded = await open({ colorScheme: 'light' });
  const keys = [];
  await guarded.route('**/status/data', async route => {
    keys.push(route.request().headers().authorization ?? null);
    if (keys.at(-1) === 'Bearer right') await route.continue();
    else await route.fulfill({ status: 401, body: '' });
  });
  const before = seen.errors.length;
  await guarded.goto(address);
  await guarded.locator('#key-dialog[open]').waitFor();
  await guarded.locator('#key-input').fill('wrong');
  await guarded.keyboard.press('Enter');
  await guarded.locator('#key-error:not(:empty)').waitFor();
  await guarded.locator('#key-input').fill('right');
  await guarded.keyboard.press('Enter');
  await guarded.locator('.model').first().waitFor();
  result.keys = [...new Set(keys)];
  result.keyStored = await guarded.evaluate(() => localStorage.length + sessionStorage.length + document.cookie.length);
  seen.errors.length = before; // A browser reports each 401 as an error.

  // What a script in the page could not do.
  result.blocked = await page.evaluate(async () => {
    const script = document.createElement('script');
    script.textContent = 'window.ran = true';
    document.body.append(script);
    return window.ran !== true;
  });
} finally {
  await browser.close();
}
result.errors = seen.errors.filter(error => !error.includes('Content Security Policy'));
result.hosts = [...seen.hosts];
console.log(JSON.stringify(result));
