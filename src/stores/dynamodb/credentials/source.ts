// What credentials are, and how they are kept: until shortly before they expire, or the service does not take them any more.

/** A key pair to sign with. None of it is ever shown. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Credentials as they were found. */
export interface Found {
  readonly credentials: Credentials;
  /** Milliseconds since 1970; `null`: they do not. */
  readonly expiresAt: number | null;
}

/** Where credentials are had. */
export interface Place {
  /** For people. */
  readonly name: string;
  find(): Promise<Found>;
}

// So long before their end new ones are had. The services have new ones by then.
const RENEWED_BEFORE_MS = 5 * 60_000;

export class CredentialSource {
  readonly #choose: () => Promise<Place>;
  #place: Place | null = null;
  #found: Found | null = null;
  #finding: Promise<Found> | null = null;

  /** @param choose says where they are had; asked once it has succeeded no more */
  constructor(choose: () => Promise<Place>) {
    this.#choose = choose;
  }

  async current(): Promise<Credentials> {
    const found = this.#found;
    const leftMs = found === null ? 0 : (found.expiresAt ?? Number.POSITIVE_INFINITY) - Date.now();
    if (found !== null && leftMs > RENEWED_BEFORE_MS) return found.credentials;
    this.#finding ??= this.#find().finally(() => (this.#finding = null));
    try {
      return (await this.#finding).credentials;
    } catch (error) {
      // What is had still does, and the next request asks again.
      if (found !== null && leftMs > 0) return found.credentials;
      throw error;
    }
  }

  /** The service does not take them any more: there may be others by now. */
  forget(): void {
    this.#found = null;
  }

  async #find(): Promise<Found> {
    this.#place ??= await this.#choose();
    this.#found = await this.#place.find();
    return this.#found;
  }
}
