//! What of other people's crates stands in the interfaces of ours: a new major version of it is one of ours, so there is
//! little of it, and all of it stands here.
//!
//! The sources are read, not the documentation, so that it works with every compiler: `unreachable_pub` sees to it that
//! whatever is `pub` can be reached. Seen are the types of functions, fields and constants, bounds, traits that public
//! types have, derived ones included, and what is exported again. Not seen is what macros write.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use syn::visit::Visit;
use syn::{Fields, ImplItem, Item, TraitItem, Type, UseTree, Visibility};

/// All that may stand there, by crate. What is not named has nothing.
///
/// Chunks of octets are `Bytes` everywhere. The server stands on tokio and rustls, which whoever embeds it has in hand
/// anyway: streams to serve, configurations of TLS. Its control socket speaks JSON.
const ALLOWED: &[(&str, &[&str])] = &[
    ("filter", BYTES),
    ("imap", BYTES),
    ("mailbox", BYTES),
    ("message", BYTES),
    ("pop3", BYTES),
    ("queue", BYTES),
    ("smtp", BYTES),
    ("wire", BYTES),
    (
        "server",
        &[
            "bytes::Bytes",
            "rustls::ClientConfig",
            "rustls::ServerConfig",
            "rustls::pki_types::CertificateDer",
            "rustls::pki_types::ServerName",
            "serde::Deserialize",
            "serde::Serialize",
            "serde::de::DeserializeOwned",
            "serde_json::Error",
            "serde_json::Value",
            "tokio::io::AsyncRead",
            "tokio::io::AsyncWrite",
            "tokio::io::DuplexStream",
            "tokio::net::TcpStream",
            "tokio::net::UnixStream",
            "tokio::sync::Notify",
            "tokio::sync::OwnedSemaphorePermit",
            "tracing::Level",
        ],
    ),
];

const BYTES: &[&str] = &["bytes::Bytes"];

/// Derives that write nothing but traits of the standard library.
const PLAIN_DERIVES: &[&str] = &["thiserror"];

#[test]
fn interfaces_name_what_they_may_and_no_more() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut found, mut items) = (BTreeMap::new(), 0);
    for entry in std::fs::read_dir(&crates).expect("the folder of crates") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let mut interface = Interface::new(foreign_crates(&folder));
        interface.file(&folder.join("src/lib.rs"), &folder.join("src"));
        items += interface.items;
        if !interface.named.is_empty() {
            found.insert(name, interface.named);
        }
    }
    assert!(items > 2000, "only {items} public items were seen");
    let own = |named: &&[&str]| named.iter().map(|one| (*one).to_owned()).collect();
    let allowed: BTreeMap<String, BTreeSet<String>> = ALLOWED
        .iter()
        .map(|(name, named)| ((*name).to_owned(), own(named)))
        .collect();
    let mut wrong = Vec::new();
    for name in found.keys().chain(allowed.keys()).collect::<BTreeSet<_>>() {
        let (found, allowed) = (found.get(name), allowed.get(name));
        let [found, allowed] = [found, allowed].map(|named| named.cloned().unwrap_or_default());
        let more = found.difference(&allowed);
        wrong.extend(more.map(|path| format!("{name} exposes {path}")));
        let fewer = allowed.difference(&found);
        wrong.extend(fewer.map(|path| format!("{name} does not expose {path}, which it may")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_foreign_type_would_be_seen() {
    let source = "
        use {bytes::Bytes, http::{self as web, Uri as Address}, std::fmt};
        use crate::inner::Own;
        pub fn takes(_: Option<Bytes>) -> impl Iterator<Item = web::Method> { http::hidden() }
        fn quiet(_: http::Quiet) {}
        #[derive(Debug, serde::Deserialize, thiserror::Error)]
        pub struct Open { pub one: Box<[Address]>, two: http::Private, pub three: Own }
        pub enum Either { Left(http::Left), Right { right: ::http::Right } }
        pub trait Speaks: http::Super { type Word: http::Bound; fn speak(&self) -> http::Spoken { http::hidden() } }
        impl From<http::Fault> for Open { fn from(_: http::Fault) -> Self { http::hidden() } }
        impl http::Foreign for Open {}
        impl http::Foreign2 for Shut {}
        impl fmt::Display for Open {}
        struct Shut(http::Private2);
        impl Open { pub const ONE: http::Constant = 1; pub fn open(&self, _: &dyn http::Dyn) {} fn close(_: http::Private3) {} }
        pub use http::header;
        type Alias = Vec<http::Aliased>;
        pub const ALIAS: Option<Alias> = None;
        pub use local::Kept;
        mod local { pub struct Kept; }
        pub mod deeper { use http::Deep; pub static DEEP: Deep = 1; }
        #[cfg(test)] mod tests { pub fn test(_: http::Tested) {} }
    ";
    let mut interface = Interface::new(
        ["bytes", "http", "local", "serde", "thiserror"]
            .map(String::from)
            .into(),
    );
    let file = syn::parse_file(source).expect("it is Rust");
    interface.names(&file.items);
    interface.items(&file.items);
    let named: Vec<_> = interface.named.iter().map(String::as_str).collect();
    assert_eq!(
        named,
        [
            "bytes::Bytes",
            "http::Aliased",
            "http::Bound",
            "http::Constant",
            "http::Deep",
            "http::Dyn",
            "http::Fault",
            "http::Foreign",
            "http::Left",
            "http::Method",
            "http::Right",
            "http::Spoken",
            "http::Super",
            "http::Uri",
            "http::header",
            "serde::Deserialize",
        ]
    );
}

/// The crates that one depends on, but for ours, as they are named in its sources.
fn foreign_crates(folder: &Path) -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("a Cargo.toml");
    let mut crates = BTreeSet::new();
    let mut listed = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            listed = line.trim_end_matches(']').ends_with("dependencies") && !line.contains("dev-");
        } else if listed && line.starts_with(|c: char| c.is_alphanumeric()) {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            crates.insert(name.replace('-', "_"));
        }
    }
    crates.retain(|name| !name.starts_with("mailwright"));
    crates
}

/// What is read of a crate.
struct Interface {
    foreign: BTreeSet<String>,
    /// What of them stands in public places.
    named: BTreeSet<String>,
    /// The names of all types and traits here that are public.
    public: BTreeSet<String>,
    /// What aliases stand for that are not public: whoever can see what uses one sees that.
    aliases: HashMap<String, Vec<Type>>,
    /// What is imported where it is read, by the name that it has there; modules that are declared there as well.
    scope: HashMap<String, Vec<String>>,
    /// Types and traits that are declared where it is read, and are not public.
    hidden: BTreeSet<String>,
    items: usize,
}

impl Interface {
    fn new(foreign: BTreeSet<String>) -> Self {
        Self {
            foreign,
            named: BTreeSet::new(),
            public: BTreeSet::new(),
            aliases: HashMap::new(),
            scope: HashMap::new(),
            hidden: BTreeSet::new(),
            items: 0,
        }
    }

    /// Reads a file and the modules below it, whose files are in `folder`.
    fn file(&mut self, file: &Path, folder: &Path) {
        let files = files(file, folder);
        for file in &files {
            self.names(&file.items);
        }
        for file in &files {
            self.items(&file.items);
        }
    }

    /// Notes which types and traits are public, and what private aliases stand for.
    fn names(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Mod(it) if !is_test(&it.attrs) => {
                    if let Some((_, items)) = &it.content {
                        self.names(items);
                    }
                }
                Item::Type(it) if !is_public(&it.vis) => {
                    let aliases = self.aliases.entry(it.ident.to_string()).or_default();
                    aliases.push((*it.ty).clone());
                }
                _ => {
                    if let Some((name, true)) = declared(item) {
                        self.public.insert(name);
                    }
                }
            }
        }
    }

    fn items(&mut self, items: &[Item]) {
        let before = std::mem::take(&mut self.scope);
        let hidden = std::mem::take(&mut self.hidden);
        for item in items {
            match item {
                Item::Use(it) => imports(&it.tree, &mut Vec::new(), &mut self.scope),
                Item::Mod(it) => {
                    let name = it.ident.to_string();
                    self.scope.insert(name.clone(), vec!["self".to_owned(), name]);
                }
                _ => {
                    if let Some((name, false)) = declared(item) {
                        self.hidden.insert(name);
                    }
                }
            }
        }
        for item in items {
            self.item(item);
        }
        self.scope = before;
        self.hidden = hidden;
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Fn(it) if is_public(&it.vis) => self.seen().visit_signature(&it.sig),
            Item::Const(it) if is_public(&it.vis) => self.seen().visit_type(&it.ty),
            Item::Static(it) if is_public(&it.vis) => self.seen().visit_type(&it.ty),
            Item::Type(it) if is_public(&it.vis) => self.seen().visit_type(&it.ty),
            Item::Struct(it) if is_public(&it.vis) => {
                self.seen().visit_generics(&it.generics);
                self.derives(&it.attrs);
                self.fields(&it.fields, false);
            }
            Item::Enum(it) if is_public(&it.vis) => {
                self.seen().visit_generics(&it.generics);
                self.derives(&it.attrs);
                it.variants
                    .iter()
                    .for_each(|variant| self.fields(&variant.fields, true));
            }
            Item::Trait(it) if is_public(&it.vis) => {
                self.seen().visit_generics(&it.generics);
                for bound in &it.supertraits {
                    self.seen().visit_type_param_bound(bound);
                }
                for item in &it.items {
                    match item {
                        TraitItem::Fn(it) => self.seen().visit_signature(&it.sig),
                        TraitItem::Type(it) => self.seen().visit_trait_item_type(it),
                        TraitItem::Const(it) => self.seen().visit_type(&it.ty),
                        _ => {}
                    }
                }
            }
            Item::Impl(it) => self.implementation(it),
            Item::Use(it) if is_public(&it.vis) => {
                let mut exported = HashMap::new();
                imports(&it.tree, &mut Vec::new(), &mut exported);
                self.items += exported.len();
                for mut path in exported.into_values() {
                    if let Some(module) = self.scope.get(&path[0]).filter(|_| path.len() > 1) {
                        path = [module, &path[1..]].concat();
                    }
                    self.note(path);
                }
            }
            Item::Mod(it) if !is_test(&it.attrs) => {
                if let Some((_, items)) = &it.content {
                    self.items(items);
                }
            }
            _ => {}
        }
    }

    fn implementation(&mut self, it: &syn::ItemImpl) {
        let Some((_, of, _)) = &it.trait_ else {
            for item in &it.items {
                match item {
                    ImplItem::Fn(it) if is_public(&it.vis) => self.seen().visit_signature(&it.sig),
                    ImplItem::Const(it) if is_public(&it.vis) => self.seen().visit_type(&it.ty),
                    _ => {}
                }
            }
            return;
        };
        let is_seen = |path: &syn::Path, interface: &Self| {
            let name = path.segments.last().map(|last| last.ident.to_string());
            let is_local = interface.resolve(path).is_none() && name.as_deref() != Some("Self");
            let is_public =
                |name: String| interface.public.contains(&name) && !interface.hidden.contains(&name);
            !is_local || name.is_some_and(is_public)
        };
        let Type::Path(own) = &*it.self_ty else { return };
        let of_std = of
            .segments
            .first()
            .map(|first| first.ident.to_string())
            .is_some_and(|first| match self.scope.get(&first) {
                Some(path) => matches!(path[0].as_str(), "std" | "core" | "alloc"),
                None => !self.public.contains(&first),
            });
        if !is_seen(&own.path, self) || !(of_std || is_seen(of, self)) {
            return;
        }
        self.seen().visit_path(of);
        self.seen().visit_path(&own.path);
        self.seen().visit_generics(&it.generics);
        for item in &it.items {
            if let ImplItem::Type(it) = item {
                self.seen().visit_type(&it.ty);
            }
        }
    }

    fn fields(&mut self, fields: &Fields, all: bool) {
        for field in fields {
            if all || is_public(&field.vis) {
                self.seen().visit_type(&field.ty);
            }
        }
    }

    fn derives(&mut self, attributes: &[syn::Attribute]) {
        for attribute in attributes.iter().filter(|it| it.path().is_ident("derive")) {
            let _ = attribute.parse_nested_meta(|derived| {
                if let Some(path) = self.resolve(&derived.path)
                    && !PLAIN_DERIVES.contains(&path[0].as_str())
                {
                    self.note(path);
                }
                Ok(())
            });
        }
    }

    /// Begins to read a public place.
    fn seen(&mut self) -> Public<'_> {
        self.items += 1;
        Public(self)
    }

    /// The path from its crate on, if it leads to another one.
    fn resolve(&self, path: &syn::Path) -> Option<Vec<String>> {
        let written: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        let whole = match self.scope.get(&written[0]) {
            Some(imported) if path.leading_colon.is_none() => [imported, &written[1..]].concat(),
            _ => written,
        };
        self.foreign.contains(&whole[0]).then_some(whole)
    }

    fn note(&mut self, path: Vec<String>) {
        if self.foreign.contains(&path[0]) {
            self.named.insert(path.join("::"));
        }
    }
}

/// Notes every path in a public place.
struct Public<'a>(&'a mut Interface);

impl<'ast> Visit<'ast> for Public<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(path) = self.0.resolve(path) {
            self.0.note(path);
        }
        // Taken out, so that one that stands for itself ends.
        let alias = path.get_ident().map(ToString::to_string);
        if let Some((name, types)) = alias.and_then(|name| self.0.aliases.remove_entry(&name)) {
            for ty in &types {
                Public(self.0).visit_type(ty);
            }
            self.0.aliases.insert(name, types);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_expr(&mut self, _: &'ast syn::Expr) {}
}

/// A file and those of the modules that it declares, which are in `folder`.
fn files(file: &Path, folder: &Path) -> Vec<syn::File> {
    let mut open = vec![(file.to_owned(), folder.to_owned())];
    let mut all = Vec::new();
    while let Some((path, folder)) = open.pop() {
        let source = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = syn::parse_file(&source).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for item in &file.items {
            let Item::Mod(it) = item else { continue };
            if it.content.is_some() || is_test(&it.attrs) {
                continue;
            }
            let name = it.ident.to_string();
            let (beside, below) = (folder.join(format!("{name}.rs")), folder.join(name));
            let path = if beside.exists() {
                beside
            } else {
                below.join("mod.rs")
            };
            open.push((path, below));
        }
        all.push(file);
    }
    all
}

/// What a `use` brings, by name; nothing of globs.
fn imports(tree: &UseTree, before: &mut Vec<String>, into: &mut HashMap<String, Vec<String>>) {
    let depth = before.len();
    match tree {
        UseTree::Path(it) => {
            before.push(it.ident.to_string());
            imports(&it.tree, before, into);
        }
        UseTree::Name(it) if it.ident == "self" => {
            let name = before.last().cloned().unwrap_or_default();
            into.insert(name, before.clone());
        }
        UseTree::Name(it) => {
            before.push(it.ident.to_string());
            into.insert(it.ident.to_string(), before.clone());
        }
        UseTree::Rename(it) => {
            if it.ident != "self" {
                before.push(it.ident.to_string());
            }
            into.insert(it.rename.to_string(), before.clone());
        }
        UseTree::Group(it) => it.items.iter().for_each(|tree| imports(tree, before, into)),
        UseTree::Glob(_) => {}
    }
    before.truncate(depth);
}

/// The name of a type or trait, and whether it is public.
fn declared(item: &Item) -> Option<(String, bool)> {
    let (vis, name) = match item {
        Item::Struct(it) => (&it.vis, &it.ident),
        Item::Enum(it) => (&it.vis, &it.ident),
        Item::Trait(it) => (&it.vis, &it.ident),
        Item::Type(it) => (&it.vis, &it.ident),
        _ => return None,
    };
    Some((name.to_string(), is_public(vis)))
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}
