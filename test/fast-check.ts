// fast-check as all tests use it: the same cases each time, so that a run says the same of the same tree. FULL=1 takes new ones, and more.
import fc from 'fast-check';

/** Of what is generated. `SEED=` repeats a run that failed. */
export const seed = Number(process.env.SEED ?? (process.env.FULL === '1' ? Date.now() % 2 ** 31 : 1));

fc.configureGlobal({ seed });

export default fc;
