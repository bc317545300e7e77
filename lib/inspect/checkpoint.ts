// A whole checkpoint: every head, images where they are given, and what the page shows.
import type { Dataset } from '../data/index.js';
import {
  type AssignmentCount,
  type AssignmentReport,
  type CheckpointFacts,
  type Diagnosis,
  type DiagnosisResult,
  diagnose,
  type FoundHead,
  factsOf,
  findHeads,
  type MapPoint,
  mergeCopies,
  type OnProgress,
  uniqueMap,
  verdict,
} from '../diagnose/index.js';
import { openTensorFile, type TensorFile } from '../formats/tensor-file.js';
import type { UniqueRule } from '../tensor/index.js';
import { type AssignedImages, assignImages, normalisationOf, thumbnail } from './images.js';
import { type AssigningFacts, readNetwork } from './network.js';

export interface DiagnoseCheckpointOptions {
  /** @default 0.025 */
  epsilon?: number;
  /** @default 'greedy' */
  rule?: UniqueRule;
  /** Name of a (K, P) tensor; by default heads are found by themselves. */
  tensor?: string | undefined;
  /** Images to show to the network. */
  data?: Dataset | undefined;
  /** @default 5000 */
  maxImages?: number;
  /** Makes what only the page needs: the map and the example images. @default false */
  page?: boolean;
  onProgress?: OnProgress;
  onWarning?: (message: string) => void;
}

export interface HeadReport extends Diagnosis {
  name: string;
  network: FoundHead['network'];
  /** Other names of the same numbers. */
  shared: string[];
  mlcd: (AssignmentReport & AssigningFacts) | null;
}

/** What `protea diagnose --json` prints of a file. */
export interface CheckpointReport {
  file: string;
  format: TensorFile['format'];
  step: number | null;
  epoch: number | null;
  heads: HeadReport[];
  verdict: string;
}

/** What the page shows beside the report, all of the head that is judged. */
export interface PageExtras {
  map: MapPoint[];
  /** The mean assignment relative to an even one, falling: over all prototypes and unique ones. */
  shares: { all: number[]; unique: number[] } | undefined;
  /** Pictures of the largest groups, as data URIs, group by group. */
  examples: string[][];
  /** The latent classes that most images are in: row of the first prototype, images, pictures. */
  busiest: { row: number; images: number; examples: string[] }[];
}

export interface CheckpointDiagnosis {
  report: CheckpointReport;
  /** The head that the verdict speaks of: that of the teacher with most copies. */
  judged: HeadReport;
  /** Heads of the teacher, or all where none is told apart. */
  ofTeacher: HeadReport[];
  extras: PageExtras | undefined;
}

const share = ({ unique, total }: Diagnosis) => unique / total;

/** Heads over patch tokens: an image's CLS token is not theirs. */
const isPatchHead = ({ name }: { name: string }) => /last_layer2|ibot_head/.test(name);

const teachers = <Head extends { network: FoundHead['network'] }>(
  heads: readonly Head[],
): Head[] => {
  const found = heads.filter(({ network }) => network === 'teacher');
  return found.length ? found : [...heads];
};

async function diagnoseHead(
  file: TensorFile,
  head: FoundHead,
  facts: CheckpointFacts,
  { epsilon = 0.025, rule = 'greedy', onProgress }: DiagnoseCheckpointOptions,
): Promise<DiagnosisResult> {
  const temperature =
    head.network === 'student' ? facts.studentTemperature : facts.teacherTemperature;
  const gains = head.gains ? (await file.read(head.gains)).values : undefined;
  return diagnose(await file.read(head.name), {
    epsilon,
    rule,
    temperature,
    name: `${file.path}: ${head.name}`,
    consume: true,
    ...(gains ? { gains } : {}),
    ...(onProgress
      ? { onProgress: (part, done) => onProgress(`${head.name}: ${part}`, done) }
      : {}),
  });
}

/** Shows the images to the network of a head and adds what they say to its report. */
async function addImages(
  file: TensorFile,
  head: FoundHead,
  found: { report: HeadReport; groups: DiagnosisResult['groups'] },
  facts: CheckpointFacts,
  { data, maxImages = 5000, onProgress, onWarning }: DiagnoseCheckpointOptions,
): Promise<AssignedImages> {
  const network = await readNetwork(file, head, facts);
  try {
    const seen = await assignImages(network, data!, found.groups, normalisationOf(facts), {
      maxImages,
      ...(onProgress ? { onProgress: (done) => onProgress('images', done) } : {}),
      ...(onWarning ? { onWarning } : {}),
    });
    const { temperature, centred, batchStatistics } = network;
    found.report.mlcd = { ...seen.count.report(), temperature, centred, batchStatistics };
    return seen;
  } finally {
    network.dispose();
  }
}

const fallingShares = (distribution: Float64Array) =>
  [...distribution.toSorted().toReversed()].map((p) => p * distribution.length);

function sharesOf(count: AssignmentCount, { group, unique }: DiagnosisResult['groups']) {
  const all = count.distribution;
  return { all: fallingShares(all), unique: fallingShares(mergeCopies(all, group, unique)) };
}

/** Pictures of the images that a group takes most surely. */
async function examplesOf({ count, cache }: AssignedImages, group: number): Promise<string[]> {
  const examples = count.examplesOf(group);
  const pictures = await Promise.all(examples.map(({ image }) => cache.load(image)));
  return Promise.all(pictures.filter((picture) => picture !== undefined).map(thumbnail));
}

const busiestClasses = 12;

async function pictured(seen: AssignedImages, { report, groups }: DiagnosisResult) {
  const examples = report.groups.map(({ row }) => examplesOf(seen, groups.group[row]!));
  const busiest = seen.count.busiest(busiestClasses).map(async ({ group, row, images }) => ({
    row,
    images,
    examples: await examplesOf(seen, group),
  }));
  return { examples: await Promise.all(examples), busiest: await Promise.all(busiest) };
}

/**
 * Diagnoses every head of a checkpoint: a file of torch.save, safetensors, an index of these, npy, or a
 * checkpoint of a Protea run. Only the heads are read, one at a time; with images also the backbone.
 * @throws ERR_PROTEA_CHECKPOINT_FORMAT, ERR_PROTEA_PICKLE_FORBIDDEN as `openTensorFile` and `findHeads`
 * @throws ERR_PROTEA_NUMERIC when a head holds NaN or infinity
 * @throws ERR_PROTEA_UNSUPPORTED when images are given and the network is not understood
 */
export async function diagnoseCheckpoint(
  path: string,
  options: DiagnoseCheckpointOptions = {},
): Promise<CheckpointDiagnosis> {
  const file = await openTensorFile(path);
  try {
    return await diagnoseOpen(file, options);
  } finally {
    await file.close();
  }
}

interface Judgement {
  head: FoundHead;
  report: HeadReport;
  groups: DiagnosisResult['groups'];
}

async function diagnoseOpen(
  file: TensorFile,
  options: DiagnoseCheckpointOptions,
): Promise<CheckpointDiagnosis> {
  const facts = factsOf(file);
  const found: Judgement[] = [];
  for (const head of findHeads(file, options.tensor)) {
    const { report, groups } = await diagnoseHead(file, head, facts, options);
    const { name, network, shared } = head;
    found.push({ head, groups, report: { name, network, shared, ...report, mlcd: null } });
  }
  const heads = found.map(({ report }) => report);
  const ofTeacher = teachers(heads);
  const judged = ofTeacher.reduce((a, b) => (share(b) < share(a) ? b : a));
  const chosen = found.find(({ report }) => report === judged)!;
  const extras = await look(file, found, chosen, facts, options);
  return {
    report: {
      file: file.path,
      format: file.format,
      step: facts.step,
      epoch: facts.epoch,
      heads,
      verdict: verdict(judged),
    },
    judged,
    ofTeacher,
    extras,
  };
}

/** Images and the map: what is made of one head alone. */
async function look(
  file: TensorFile,
  found: readonly Judgement[],
  judged: Judgement,
  facts: CheckpointFacts,
  options: DiagnoseCheckpointOptions,
): Promise<PageExtras | undefined> {
  const ofImages = isPatchHead(judged.head)
    ? (found.find(({ head }) => head.network === judged.head.network && !isPatchHead(head)) ??
      judged)
    : judged;
  const seen = options.data
    ? await addImages(file, ofImages.head, ofImages, facts, options)
    : undefined;
  if (!options.page) return undefined;
  const { values } = await file.read(judged.head.name);
  const own = seen && ofImages === judged ? seen : undefined;
  return {
    map: await uniqueMap({ values, dim: judged.report.dim }, judged.groups, {
      onProgress: options.onProgress,
    }),
    shares: own && sharesOf(own.count, judged.groups),
    ...(own ? await pictured(own, judged) : { examples: [], busiest: [] }),
  };
}
