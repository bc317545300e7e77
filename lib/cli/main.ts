#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { packageRoot } from '../native.js';
import { addBench } from './bench.js';
import { addCompare } from './compare.js';
import { addConfig } from './config.js';
import { addDiagnose } from './diagnose.js';
import { addDoctor } from './doctor.js';
import { addEval } from './eval.js';
import { addFeatures } from './features.js';
import { addLab } from './lab.js';
import { addMethods } from './methods.js';
import { exitCode } from './output.js';
import { addTrain } from './train.js';

const manifest = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
  version: string;
  description: string;
};

const program = new Command('protea')
  .description(manifest.description)
  .version(manifest.version)
  .showHelpAfterError('(protea --help shows the commands)')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? exitCode.ok : exitCode.usage));

// A reader that has seen enough, as head, closes the pipe: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

addTrain(program);
addConfig(program);
addMethods(program);
addCompare(program);
addEval(program);
addFeatures(program);
addDiagnose(program);
addLab(program);
addBench(program);
addDoctor(program);

await program.parseAsync();
