/** Where coord-server listens while you develop. */
const coord = 'http://127.0.0.1:8080';

export default {
  server: {
    proxy: { '/dcdn': { target: coord, ws: true }, '/sw.js': coord },
  },
};
