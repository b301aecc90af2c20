/** The version of package.json; a test holds the two to each other. */
export const VERSION = "0.1.0";
