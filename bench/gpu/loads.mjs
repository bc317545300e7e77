// Does the addon load with this Node and this C library?
import { addon } from '../../dist/lib/native.js';

addon();
