// A certificate for this host that nobody else has signed, as servers have it that are used by one company alone.

import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  readonly folder: string;
  readonly cert: string;
  readonly key: string;
  /** The certificate itself, which clients have to be told to trust. */
  readonly ca: string;
}

/** @param owner - who may read the key. */
export function makeCertificate(owner: { readonly uid?: number; readonly gid?: number } = {}): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'semlock-tls-'));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync('openssl', ['req', ...kind, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  chmodSync(key, 0o600);
  if (owner.uid !== undefined) for (const path of [folder, cert, key]) chownSync(path, owner.uid, owner.gid!);
  return { folder, cert, key, ca: readFileSync(cert, 'utf8') };
}
