import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { ProteaError } from '../../lib/error.js';
import { decode } from '../../lib/formats/dtypes.js';
import { readPickle } from '../../lib/formats/pickle.js';
import { openTensorFile } from '../../lib/formats/tensor-file.js';
import { torchGlobal } from '../../lib/formats/torch-globals.js';
import { temporaryFolder } from '../support/folder.js';
import { sharedPath, testWith } from '../support/shared.js';

const pickle = (text: string) => Buffer.from(text, 'latin1');
const options = {
  file: 'a.pth',
  global: (module: string, name: string) => torchGlobal('a.pth', module, name),
};
const read = (text: string) => readPickle(pickle(text), options).value;

test('plain values: dicts, tuples, numbers, text', (t) => {
  t.deepEqual(read('\x80\x02}q\x00X\x01\x00\x00\x00aK\x07s.'), new Map([['a', 7]]));
  t.deepEqual(read('(I1\nF2.5\nNI01\nt.'), [1, 2.5, null, true]);
  t.is(read('\x8a\x01\xff.'), -1);
  t.is(read('\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.'), 18446744073709551616n);
});

test('attributes of an object are read, those of a dict are not keys of it', (t) => {
  const state = '}X\x01\x00\x00\x00aK\x07sb.';
  t.deepEqual(
    [...(read(`cargparse\nNamespace\n)\x81${state}`) as Map<string, number>)],
    [['a', 7]],
  );
  t.is((read(`ccollections\nOrderedDict\n)R${state}`) as Map<string, number>).size, 0);
});

for (const [module, name] of [
  ['os', 'system'],
  ['builtins', 'eval'],
  ['builtins', '__import__'],
  ['torch', 'load'],
  ['torch', 'constructor'],
  ['collections', '__proto__'],
  ['', 'constructor'],
])
  test(`${module}.${name} is refused`, (t) => {
    const error = t.throws(() => read(`c${module}\n${name}\n(S'x'\ntR.`)) as ProteaError;
    t.is(error.code, 'ERR_PROTEA_PICKLE_FORBIDDEN');
    t.regex(error.message, /a\.pth: asks for .* at \d+/);
  });

test('a call of data, a missing mark, an unknown memo and an unknown opcode are refused', (t) => {
  for (const text of ['K\x07)R.', 't.', 'h\x05.', '\xff.', '.', 'K\x01a.', 'K\x01K\x02s.'])
    t.throws(() => read(text), { code: 'ERR_PROTEA_CHECKPOINT_FORMAT' }, JSON.stringify(text));
});

test('what would grow without bound, or be walked without end, is refused', (t) => {
  const format = { code: 'ERR_PROTEA_CHECKPOINT_FORMAT' };
  const pairs = `](${'K\x01K\x02\x86'.repeat(3000)}eq\x01`;
  const bomb = `${pairs}0${'ccollections\nOrderedDict\nh\x01\x85R0'.repeat(2000)}N.`;
  t.throws(() => read(bomb), { ...format, message: /more values than its size allows/ });
  t.throws(() => read(`\x8b\xff\x00\x00\x00${'\x01'.repeat(255)}.`), format);
  t.throws(() => read(`F${'1'.repeat(1000)}\n.`), format);
  t.throws(() => read('\x80\x09N.'), { ...format, message: /protocol above 5/ });
  t.throws(() => read('](]](eeccollections\nOrderedDict\n\x93.'), format);
});

test('half and brain floats, down to the smallest and up to the largest', (t) => {
  const words = (...bits: number[]) => Buffer.from(Uint16Array.from(bits).buffer);
  const halves = decode(words(0x3c00, 0x0001, 0x7bff, 0xfc00, 0x8000), 'f16');
  t.deepEqual([...halves], [1, 2 ** -24, 65504, Number.NEGATIVE_INFINITY, -0]);
  t.deepEqual([...decode(words(0x3f80, 0xc000), 'bf16')], [1, -2]);
});

testWith(
  'golden/checkpoint',
  'any damage to a checkpoint is a typed error or still a checkpoint',
  async (t) => {
    const folder = temporaryFolder(t);
    let refused = 0;
    let state = 7;
    const random = (n: number) => {
      state = (state * 48271) % 2147483647;
      return state % n;
    };
    for (const name of ['dtypes.pth', 'dtypes_legacy.pth', 'dtypes.safetensors']) {
      const whole = readFileSync(sharedPath('golden', 'checkpoint', name));
      for (let round = 0; round < 300; round++) {
        const bytes = Buffer.from(
          whole.subarray(0, random(4) ? whole.length : random(whole.length)),
        );
        for (let i = 0; i <= random(4) && bytes.length; i++)
          bytes[random(bytes.length)] = random(256);
        const path = join(folder, 'damaged');
        writeFileSync(path, bytes);
        try {
          const file = await openTensorFile(path);
          for (const tensor of file.names) await file.read(tensor).catch(typed);
          await file.close();
        } catch (error) {
          typed(error);
        }
      }
    }
    t.true(refused > 0, 'no damage was noticed');

    function typed(error: unknown): void {
      if (!(error instanceof ProteaError)) throw error;
      refused++;
    }
  },
);
