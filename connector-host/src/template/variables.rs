//! Variables: `${env:NAME}`, `${env:NAME:-default}`, `${secret:NAME}`, `${file:PATH}`, `${var:NAME}`.
//!
//! They are replaced in texts after the YAML is parsed, so that no value can bring YAML of its own. A
//! text that is nothing but a variable stays a text. `$${` stands for `${`.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use connector_sdk::{Error, Result, Secret, secret::read_secret_file};

use super::stores::Stores;

/// Looks a variable of the environment up.
type Environment = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Where variables come from: the environment and what the caller sets.
///
/// ```
/// use connector_host::template::Variables;
/// let variables = Variables::new(|name| (name == "SF_URL").then(|| "https://acme.my.salesforce.com".to_owned()))
///     .with_var("region", "eu");
/// ```
#[derive(Clone)]
pub struct Variables {
    env: Arc<Environment>,
    vars: BTreeMap<String, String>,
    secrets: BTreeMap<String, Secret>,
}

impl Variables {
    /// Looks up the environment with this function; a program's edge hands in the process's environment.
    pub fn new(env: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { env: Arc::new(env), vars: BTreeMap::new(), secrets: BTreeMap::new() }
    }

    /// Sets `${var:NAME}`.
    #[must_use]
    pub fn with_var(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.vars.insert(name.into(), value.into());
        self
    }

    /// Sets `${secret:NAME}`, whatever the stores hold: to try one before it is put into a store.
    #[must_use]
    pub fn with_secret(mut self, name: impl Into<String>, secret: Secret) -> Self {
        self.secrets.insert(name.into(), secret);
        self
    }

    /// A secret that the caller has set.
    pub(super) fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(name)
    }

    /// A variable of the environment.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<String> {
        (self.env)(name)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables")
            .field("vars", &self.vars.keys())
            .field("secrets", &self.secrets.keys())
            .finish_non_exhaustive()
    }
}

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Reference(Reference<'a>),
}

/// A variable, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reference<'a> {
    Env { name: &'a str, default: Option<&'a str> },
    Secret(&'a str),
    File(&'a str),
    Var(&'a str),
}

/// Splits a text. What is wrong is said in words; the caller adds the place.
pub(super) fn split(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = rest.split_at(start);
        if let Some(escaped) = before.strip_suffix('$') {
            pieces.extend([Piece::Text(escaped), Piece::Text("${")]);
            rest = after.get(2..).unwrap_or_default();
            continue;
        }
        pieces.push(Piece::Text(before));
        let inner = after.get(2..).unwrap_or_default();
        let (inner, next) = inner
            .split_once('}')
            .ok_or("a variable that starts with `${` does not end; write `$${` where `${` itself is meant")?;
        pieces.push(Piece::Reference(reference(inner)?));
        rest = next;
    }
    pieces.push(Piece::Text(rest));
    pieces.retain(|piece| *piece != Piece::Text(""));
    Ok(pieces)
}

fn reference(inner: &str) -> Result<Reference<'_>, String> {
    let (source, name) = inner.split_once(':').unwrap_or((inner, ""));
    let plain = |name: &str| {
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
            && !name.starts_with('.')
    };
    let reference = match source {
        "env" => match name.split_once(":-") {
            Some((name, default)) => Reference::Env { name, default: Some(default) },
            None => Reference::Env { name, default: None },
        },
        "secret" => Reference::Secret(name),
        "file" => Reference::File(name),
        "var" => Reference::Var(name),
        _ => {
            return Err(format!(
                "`${{{inner}}}` is no variable: there are ${{env:NAME}}, ${{env:NAME:-default}}, ${{secret:NAME}}, \
                 ${{file:PATH}} and ${{var:NAME}}; write `$${{` where `${{` itself is meant"
            ));
        }
    };
    let named = match reference {
        Reference::Env { name, .. } | Reference::Var(name) => plain(name),
        // After `#` stands the field of a secret that has several.
        Reference::Secret(name) => name.split('#').count() <= 2 && name.split('#').all(plain),
        Reference::File(path) => !path.is_empty(),
    };
    if named { Ok(reference) } else { Err(format!("`${{{inner}}}` has no proper name after `{source}:`")) }
}

/// Looks a variable up. Without stores there are no secrets: what opens a store cannot come from one.
pub(super) async fn look_up(
    reference: Reference<'_>,
    variables: &Variables,
    secrets: Option<&Stores>,
    folder: &Path,
) -> Result<Secret> {
    let unset = |what: String| Error::config("read template", what);
    match reference {
        Reference::Env { name, default } => match (variables.env(name), default) {
            (Some(value), None) => Ok(Secret::new(value)),
            (Some(value), Some(_)) if !value.is_empty() => Ok(Secret::new(value)),
            (_, Some(default)) => Ok(Secret::from(default)),
            (None, None) => Err(unset(format!(
                "the environment variable `{name}` is not set; set it, or give a default: ${{env:{name}:-default}}"
            ))),
        },
        Reference::Var(name) => {
            variables.vars.get(name).map(|value| Secret::from(value.as_str())).ok_or_else(|| {
                unset(format!("the variable `{name}` is not set; set it with --var {name}=VALUE"))
            })
        }
        Reference::Secret(name) => match (variables.secret(name), secrets) {
            (Some(secret), Some(_)) => Ok(secret.clone()),
            (_, Some(secrets)) => secrets.get(name).await,
            (_, None) => Err(unset(format!(
                "`${{secret:{name}}}` cannot stand in `secrets`, which says where secrets are: use ${{env:NAME}} or \
                 ${{file:PATH}}"
            ))),
        },
        Reference::File(path) => read(&folder.join(path)),
    }
}

/// The text of a file, less one line break at its end. A private key is nobody else's affair.
fn read(path: &Path) -> Result<Secret> {
    let is_key = |text: &Secret| text.expose().contains("PRIVATE KEY");
    read_secret_file(path, is_key)?.ok_or_else(|| {
        Error::config("read template", format!("cannot read `{}`: there is no such file", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_split_into_variables_and_what_is_between() {
        let pieces = split("https://${env:HOST:-localhost:80}/${var:v}$").unwrap();
        assert_eq!(
            pieces,
            [
                Piece::Text("https://"),
                Piece::Reference(Reference::Env { name: "HOST", default: Some("localhost:80") }),
                Piece::Text("/"),
                Piece::Reference(Reference::Var("v")),
                Piece::Text("$"),
            ]
        );
        assert_eq!(split("$${env:X} $5").unwrap(), [Piece::Text("${"), Piece::Text("env:X} $5")]);
        assert_eq!(split("").unwrap(), []);
        assert_eq!(
            split("${file:/run/key.pem}").unwrap(),
            [Piece::Reference(Reference::File("/run/key.pem"))]
        );
    }

    #[test]
    fn what_is_no_variable_is_an_error_that_tells_how_to_write_it() {
        for text in [
            "${env:X",
            "${X}",
            "${env:}",
            "${foo:x}",
            "${secret:../x}",
            "${secret:a/b}",
            "${env:A B}",
            "${file:}",
        ] {
            assert!(split(text).is_err(), "{text}");
        }
        assert!(split("${X}").unwrap_err().contains("$${"));
    }

    #[test]
    fn a_folder_and_a_file_that_is_too_large_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("not a regular file"));
        assert!(read(&folder.path().join("none")).unwrap_err().to_string().contains("no such file"));
        let large = folder.path().join("large");
        let most = 1 << 20;
        std::fs::write(&large, "x".repeat(most)).unwrap();
        assert_eq!(read(&large).unwrap().expose().len(), most);
        std::fs::write(&large, "x".repeat(most + 1)).unwrap();
        assert!(read(&large).unwrap_err().to_string().contains("1 MiB"));
    }

    #[cfg(unix)]
    #[test]
    fn a_private_key_that_others_can_read_is_refused_and_the_remedy_named() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.pem");
        std::fs::write(&key, "-----BEGIN PRIVATE KEY-----\ncanary-7f3a9c\n").unwrap();
        for (mode, fits) in [(0o644, false), (0o640, false), (0o600, true), (0o400, true)] {
            std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
            let text = read(&key);
            assert_eq!(text.is_ok(), fits, "{mode:o}");
            if let Err(error) = text {
                assert_eq!(error.class(), connector_sdk::Class::Config);
                assert!(error.to_string().contains("chmod 600"), "{error}");
                assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
            }
        }
    }
}
