//! Reads a crate: from its root file along the `mod` lines, each file with everything that it names.

use syn::{
    Attribute, Expr, ExprLit, ImplItem, Item, ItemMod, ItemUse, Lit, Meta, Stmt, TraitItem,
    UseTree, Visibility,
    visit::{self, Visit},
};

use super::{
    modules::{Code, Import, Module, NamedPath},
    tokens::{Found, paths_in, paths_in_text},
};
use crate::{finding::Finding, tree::Tree};

/// Reads the crate whose root file is `root`.
pub fn parse(tree: &Tree, root: &str) -> Code {
    let mut code = Code::default();
    // The root's `mod` lines lead to files beside it.
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
    read_file(tree, &mut code, root, folder, None);
    code
}

/// Reads a file as a module. `folder` is where its children are. Returns the module.
fn read_file(
    tree: &Tree,
    code: &mut Code,
    file: &str,
    folder: &str,
    parent: Option<usize>,
) -> Option<usize> {
    let Some(text) = tree.text(file) else {
        code.findings.push(Finding::new(
            "modules",
            file,
            0,
            "a `mod` line names this file, which is not there",
        ));
        return None;
    };
    let parsed = match syn::parse_file(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let line = error.span().start().line;
            code.findings.push(Finding::new(
                "modules",
                file,
                line,
                format!("is no Rust: {error}"),
            ));
            return None;
        }
    };
    let module = add_module(code, file, parent);
    let mut reader = Reader {
        tree,
        code,
        file,
        folder: folder.to_owned(),
        module,
        depth: 0,
    };
    reader.attributes(&parsed.attrs);
    reader.items(&parsed.items);
    Some(module)
}

fn add_module(code: &mut Code, file: &str, parent: Option<usize>) -> usize {
    code.modules.push(Module {
        file: file.to_owned(),
        parent,
        children: Default::default(),
        items: Default::default(),
        imports: Vec::new(),
    });
    code.modules.len() - 1
}

/// Reads what one module says.
struct Reader<'a> {
    tree: &'a Tree,
    code: &'a mut Code,
    file: &'a str,
    folder: String,
    module: usize,
    /// Above 0 within functions, whose items have no path from elsewhere.
    depth: usize,
}

impl Reader<'_> {
    fn items(&mut self, items: &[Item]) {
        for item in items {
            self.visit_item(item);
        }
    }

    fn module(&mut self) -> &mut Module {
        &mut self.code.modules[self.module]
    }

    fn name(&mut self, segments: Vec<String>, line: usize, is_reexport: bool) {
        let module = self.module;
        self.code.paths.push(NamedPath {
            module,
            line,
            segments,
            is_reexport,
        });
    }

    fn found(&mut self, found: Vec<Found>) {
        for Found { segments, line } in found {
            self.name(segments, line, false);
        }
    }

    /// Paths in attributes, also in texts such as `with = "crate::x"`. Documentation may name what it likes.
    fn attributes(&mut self, attributes: &[Attribute]) {
        for attribute in attributes {
            let line = attribute.pound_token.span.start().line;
            match &attribute.meta {
                Meta::NameValue(value) if !value.path.is_ident("doc") => {
                    if let Expr::Lit(ExprLit {
                        lit: Lit::Str(text),
                        ..
                    }) = &value.value
                    {
                        self.found(paths_in_text(&text.value(), line));
                    }
                }
                Meta::List(list) if !list.path.is_ident("doc") => {
                    let found = paths_in(list.tokens.clone(), true);
                    self.found(found);
                }
                _ => {}
            }
        }
    }

    fn import(&mut self, item: &ItemUse, tree: &UseTree, prefix: &[String]) {
        let joined = |ident: &syn::Ident| [prefix, &[ident.to_string()]].concat();
        let (name, path, line) = match tree {
            UseTree::Path(path) => return self.import(item, &path.tree, &joined(&path.ident)),
            UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.import(item, tree, prefix));
            }
            UseTree::Name(name) if name.ident == "self" => (
                prefix.last().cloned(),
                prefix.to_vec(),
                name.ident.span().start().line,
            ),
            UseTree::Name(name) => (
                Some(name.ident.to_string()),
                joined(&name.ident),
                name.ident.span().start().line,
            ),
            UseTree::Rename(rename) => {
                let path = if rename.ident == "self" {
                    prefix.to_vec()
                } else {
                    joined(&rename.ident)
                };
                (
                    Some(rename.rename.to_string()),
                    path,
                    rename.ident.span().start().line,
                )
            }
            UseTree::Glob(glob) => (None, prefix.to_vec(), glob.star_token.span.start().line),
        };
        if path.is_empty() {
            return;
        }
        if name.as_deref() != Some("_") {
            let path = path.clone();
            self.module().imports.push(Import { name, path });
        }
        let is_reexport = !matches!(item.vis, Visibility::Inherited);
        self.name(path, line, is_reexport);
    }

    fn child(&mut self, item: &ItemMod) {
        let name = item.ident.to_string();
        let folder = if self.folder.is_empty() {
            name.clone()
        } else {
            format!("{}/{name}", self.folder)
        };
        if is_for_tests(&item.attrs) {
            if item.content.is_none() {
                let below: Vec<_> = self
                    .tree
                    .below(&folder)
                    .map(|(path, _)| path.to_owned())
                    .collect();
                self.code.test_files.extend(below);
                self.code.test_files.insert(format!("{folder}.rs"));
            }
            return;
        }
        self.attributes(&item.attrs);
        let child = if let Some((_, items)) = &item.content {
            let child = add_module(self.code, self.file, Some(self.module));
            let mut reader = Reader {
                tree: self.tree,
                code: self.code,
                file: self.file,
                folder,
                module: child,
                depth: 0,
            };
            reader.items(items);
            Some(child)
        } else {
            let beside = format!("{folder}.rs");
            let inside = format!("{folder}/mod.rs");
            let file = if self.tree.text(&inside).is_some() {
                inside
            } else {
                beside
            };
            read_file(self.tree, self.code, &file, &folder, Some(self.module))
        };
        if let Some(child) = child {
            self.module().children.insert(name, child);
        }
    }

    fn define(&mut self, name: &syn::Ident) {
        if self.depth == 0 {
            let name = name.to_string();
            self.module().items.insert(name);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(attributes_of(item)) {
            if let Item::Mod(item) = item {
                self.child(item);
            }
            return;
        }
        match item {
            Item::Mod(item) => return self.child(item),
            Item::Use(item) => {
                self.attributes(&item.attrs);
                if item.leading_colon.is_none() {
                    self.import(item, &item.tree, &[]);
                }
                return;
            }
            Item::Macro(item) => {
                if let Some(name) = &item.ident {
                    self.define(name);
                    self.attributes(&item.attrs);
                    // What is no `crate::` or `$crate::` in a macro's rules is a path of the place that uses it.
                    let found = paths_in(item.mac.tokens.clone(), false);
                    return self.found(found);
                }
            }
            Item::Const(item) => self.define(&item.ident),
            Item::Enum(item) => self.define(&item.ident),
            Item::ExternCrate(item) => self.define(&item.ident),
            Item::Fn(item) => self.define(&item.sig.ident),
            Item::Static(item) => self.define(&item.ident),
            Item::Struct(item) => self.define(&item.ident),
            Item::Trait(item) => self.define(&item.ident),
            Item::TraitAlias(item) => self.define(&item.ident),
            Item::Type(item) => self.define(&item.ident),
            Item::Union(item) => self.define(&item.ident),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.depth += 1;
        visit::visit_block(self, block);
        self.depth -= 1;
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if matches!(statement, Stmt::Local(local) if is_for_tests(&local.attrs)) {
            return;
        }
        visit::visit_stmt(self, statement);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            ImplItem::Macro(item) => &item.attrs,
            _ => return,
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let attributes = match item {
            TraitItem::Const(item) => &item.attrs,
            TraitItem::Fn(item) => &item.attrs,
            TraitItem::Type(item) => &item.attrs,
            TraitItem::Macro(item) => &item.attrs,
            _ => return,
        };
        if !is_for_tests(attributes) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let line = path.segments.first();
            let line = line.map_or(0, |first| first.ident.span().start().line);
            let segments = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string());
            self.name(segments.collect(), line, false);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        self.visit_path(&invoked.path);
        let found = paths_in(invoked.tokens.clone(), true);
        self.found(found);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        self.attributes(std::slice::from_ref(attribute));
    }

    /// `pub(super)` says who may see it, not what it needs.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether it is under `#[cfg(test)]`, alone or in `all(..)`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::List(list) = &attribute.meta else {
            return false;
        };
        let condition = list.tokens.to_string().replace(' ', "");
        list.path.is_ident("cfg")
            && (condition == "test"
                || condition.starts_with("all(test,")
                || condition.starts_with("all(test)"))
    })
}
