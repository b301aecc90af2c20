// What a URL of the form sqlite:///path/to/file.db means. Whether one is right is said in ../urls.ts, before anything is opened.

/** The database's path out of a URL that has been found right. */
export function parseSqliteUrl(url: string): string {
  return decodeURIComponent(url.slice("sqlite://".length));
}
