import { dcdn, type Stats } from 'dcdn';

const status = document.querySelector('#status') as HTMLElement;

function show({ totals, peers }: Stats): void {
  const { bytes_p2p, bytes_http, bytes_cache } = totals;
  status.textContent =
    `${bytes_p2p} bytes from visitors, ${bytes_http} from the server, ` +
    `${bytes_cache} from this browser; peers: ${peers}`;
}

dcdn.on('done', async () => show(await dcdn.stats()));

dcdn.ready.then(({ mode, reason }) => {
  status.textContent = mode === 'http' ? `Plain HTTP: ${reason}` : `Served with DCDN (${mode})`;
});
