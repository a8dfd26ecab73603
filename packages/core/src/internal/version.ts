/** The version that we tell servers; a test holds it equal to the package's own. */
export const version = "0.1.0"
