// Strips types for Jest with the same parser family that lints the code; type errors are tsc's business, in `build`.
const { transformSync } = require('oxc-transform');

module.exports = {
  process(source, filename) {
    const { code, map, errors } = transformSync(filename, source, {
      lang: 'ts',
      sourcemap: true,
      typescript: { onlyRemoveTypeImports: true },
    });
    if (errors.length > 0) throw new Error(`${filename}: ${errors.map((error) => error.message).join('; ')}`);
    return { code, map: map ? JSON.stringify(map) : null };
  },
};
